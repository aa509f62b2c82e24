"""Building blocks of HTML pages: tables, charts, thumbnails, and the page template."""
