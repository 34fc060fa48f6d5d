"""A campus that is there grows without training, says how well it is, and says beforehand what photos will give."""
