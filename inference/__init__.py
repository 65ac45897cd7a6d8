"""Use of trained models on recordings as people have them: folders, manifests, and tables of scores."""
