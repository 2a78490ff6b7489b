"""Algorithm distillation over compressed histories, in batches of one depth or of mixed depths."""
