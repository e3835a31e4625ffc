"""Readers, partitions and digests of the records that providers train on."""
