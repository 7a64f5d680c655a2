"""What a pair samples and how well it is told apart: the analyses of Hao et al. 2021, `relexify analyse-sampling`."""
