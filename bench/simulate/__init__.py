"""Which worker gets a turn, at sizes that no test machine has: a discrete-event simulation.

It runs the policy that the queue runs (`shared.placement`) over workers with caches, and users who
come back to their conversations.
"""
