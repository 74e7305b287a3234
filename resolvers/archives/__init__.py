"""Archives: results of simulations as one zip, which a job makes and which is kept for some days."""
