"""The study behind the README's table: trainings, trials and controls on one machine, and what they add up to."""
