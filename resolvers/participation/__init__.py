"""Who takes part in challenges: registrations and teams."""
