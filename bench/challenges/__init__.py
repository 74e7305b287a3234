"""What challenges cost: a leaderboard that is rebuilt, who follows it, and whose evaluation is next."""
