"""Lists of logs, threads and users, in the words of Respan's API."""
