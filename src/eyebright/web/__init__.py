"""What all pages share: charts, tables, thumbnails, the page itself."""
