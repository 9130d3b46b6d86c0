"""What all studies share: command lines, sweeps, provenance, files, tables, tests of significance."""
