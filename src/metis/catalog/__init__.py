"""What is known of models without asking anybody: names, families, limits, prices. No network, no usage totals."""
