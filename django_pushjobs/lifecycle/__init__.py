"""What every move of a push request entails: jobs are enqueued, changes are announced."""
