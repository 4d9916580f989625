"""What people say of rows and of pairs of answers, and how far they agree."""
