/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DSDT of the kvm engine's virtual machine: power-off, PCI bus, serial port, clock and
 * pvpanic. It is the same for every guest; the processors are in the MADT (acpi.c). The
 * build runs this file through the C preprocessor and then iasl. acpi.c replaces the header
 * of the table.
 */
#include "vcpu/kvm/board.h"

#define SLOT(address, pin) Package () { address, 0, 0, Add (KVM_GSI_INTX, pin) }

DefinitionBlock ("", "DSDT", 2, "LGSEP ", "LGUESTSP", 1)
{
	/* 7.4.2: the values that power the machine off, for the sleep control register */
	Name (\_S5, Package () { PC_S5_TYPE, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
				IO (Decode16, 0xcf8, 0xcf8, 0, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x1000, 0xffff, 0, 0xf000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
					0, KVM_PCI_BASE, KVM_PCI_LAST, 0, KVM_PCI_SIZE)
			})
			/* 6.2.13: the I/O APIC pin of INTA of each slot */
			Name (_PRT, Package ()
			{
				SLOT (0x0000ffff, 0),
				SLOT (0x0001ffff, 1),
				SLOT (0x0002ffff, 2),
				SLOT (0x0003ffff, 3),
				SLOT (0x0004ffff, 4),
				SLOT (0x0005ffff, 5),
				SLOT (0x0006ffff, 6),
				SLOT (0x0007ffff, 7),
				SLOT (0x0008ffff, 0),
				SLOT (0x0009ffff, 1),
				SLOT (0x000affff, 2),
				SLOT (0x000bffff, 3),
				SLOT (0x000cffff, 4),
				SLOT (0x000dffff, 5),
				SLOT (0x000effff, 6),
				SLOT (0x000fffff, 7),
				SLOT (0x0010ffff, 0),
				SLOT (0x0011ffff, 1),
				SLOT (0x0012ffff, 2),
				SLOT (0x0013ffff, 3),
				SLOT (0x0014ffff, 4),
				SLOT (0x0015ffff, 5),
				SLOT (0x0016ffff, 6),
				SLOT (0x0017ffff, 7),
				SLOT (0x0018ffff, 0),
				SLOT (0x0019ffff, 1),
				SLOT (0x001affff, 2),
				SLOT (0x001bffff, 3),
				SLOT (0x001cffff, 4),
				SLOT (0x001dffff, 5),
				SLOT (0x001effff, 6),
				SLOT (0x001fffff, 7)
			})
		}
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_STA, 0x0f)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, PC_SERIAL_PORT, PC_SERIAL_PORT, 0, 8)
				IRQNoFlags () { PC_SERIAL_IRQ }
			})
		}
		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_STA, 0x0f)
			Name (_CRS, ResourceTemplate () { IO (Decode16, PC_CMOS_PORT, PC_CMOS_PORT, 0, 2) })
		}
		/* pvpanic; the ID is the one that QEMU defines and Linux knows */
		Device (PEVT)
		{
			Name (_HID, "QEMU0001")
			Name (_STA, 0x0f)
			Name (_CRS, ResourceTemplate () { IO (Decode16, PC_PVPANIC_PORT, PC_PVPANIC_PORT, 0, 1) })
		}
	}
}
