/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports, interrupts and addresses of the kvm engine's virtual machine. Plain numbers only,
 * because dsdt.asl and ssdt.asl include this file too.
 */
#ifndef VCPU_BOARD_H
#define VCPU_BOARD_H

#define PC_SERIAL_PORT	0x3f8
#define PC_SERIAL_IRQ	4
#define PC_CMOS_PORT	0x70
#define PC_I8042_DATA	0x60
#define PC_I8042_PORT	0x64
#define PC_RESET_VALUE	0xfe /* Written to PC_I8042_PORT, it resets the machine */
#define PC_PVPANIC_PORT 0x505
#define PC_PM_PORT	0x600 /* ACPI PM1a event block (4 bytes), then the control register (2 bytes) */
#define PC_PM_CNT	0x604
#define PC_SCI_IRQ	9
#define PC_VMGENID_IRQ	5	/* At the I/O APIC only; edge-triggered */
#define PC_VMGENID_GPA	0xe2000 /* The generation ID: 16 bytes of a reserved page behind the ACPI tables */
#define PC_S5_TYPE	5	/* SLP_TYP value for power-off, in \_S5 of the DSDT */

/* Addresses for PCI BARs, below the interrupt controllers. */
#define KVM_PCI_BASE 0xd0000000
#define KVM_PCI_END  0xfec00000
#define KVM_PCI_LAST 0xfebfffff /* iasl cannot compute this and the next value; acpi.c checks them */
#define KVM_PCI_SIZE 0x2ec00000
/* --shmem: its registers and its memory, which has SHMEM_MAX bytes at most. All other BARs are far below. */
#define KVM_SHMEM_REGS 0xdffff000
#define KVM_SHMEM      0xe0000000
#define KVM_IOAPIC     0xfec00000
#define KVM_LAPIC      0xfee00000
#define KVM_GSI_INTX   16 /* Interrupt of INTA of slot n: KVM_GSI_INTX + n % 8 */

#endif
