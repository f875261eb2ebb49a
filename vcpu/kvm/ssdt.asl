/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second ACPI table for guests that can go back to an earlier state, or are saved or loaded: the generation ID of the
 * virtual machine, as in Microsoft's specification "Virtual Machine Generation ID" (2012). Linux knows it since 5.18. The
 * build treats this file as it does dsdt.asl.
 */
#include "vcpu/kvm/board.h"

DefinitionBlock ("", "SSDT", 2, "LGSEP ", "LGUESTSP", 1)
{
	Scope (\_SB)
	{
		Device (VGEN)
		{
			Name (_HID, "LGSP0001")
			Name (_CID, "VM_Gen_Counter")
			Name (_DDN, "VM_Gen_Counter")
			Name (_STA, 0x0f)
			Name (ADDR, Package () { PC_VMGENID_GPA, 0 })
		}
		/* ACPI 6.4, 5.6.9: an interrupt that becomes an event of a device. 0x80: the ID has changed */
		Device (GED)
		{
			Name (_HID, "ACPI0013")
			Name (_STA, 0x0f)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { PC_VMGENID_IRQ }
			})
			Method (_EVT, 1, Serialized)
			{
				Notify (\_SB.VGEN, 0x80)
			}
		}
	}
}
