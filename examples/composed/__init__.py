"""What composed batches are for: metric learning by P x K, and controls matched by plate."""
