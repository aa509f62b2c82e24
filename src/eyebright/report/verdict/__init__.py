"""The first screen of a report: strengths and weaknesses of the model, and recommendations with evidence."""
