"""The first screen of a report: strengths and weaknesses of the model and the most useful changes, with evidence."""
