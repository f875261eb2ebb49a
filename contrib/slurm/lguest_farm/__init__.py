# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a list of guests over many hosts, and collects their results."""
