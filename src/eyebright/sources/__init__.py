"""What any label file or folder becomes, and how it is split."""
