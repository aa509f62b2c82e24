"""A page on this machine on which a person looks at images and corrects their labels."""
