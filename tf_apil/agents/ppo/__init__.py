"""PPO against a frozen opponent: the attack of Gleave et al. 2020 ("ADRL"), and the base of the other methods."""
