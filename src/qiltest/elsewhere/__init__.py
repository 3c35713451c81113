"""Images made elsewhere: the plan of what to generate, and the folder of images that come back."""
