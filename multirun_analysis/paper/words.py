"""What arXiv 1901.01672 and its sequel say, claim by claim in our words, and why a result may differ from it."""

from __future__ import annotations

# Claim -> what the paper says.
SAYS = {
    "C1a": "The distance from initialization that training covers does not grow as a network gets wider.",
    "C1b": "It even shrinks.",
    "C2": "The norm of the weights, the distance from the origin, grows with width, since the initialization's norm "
    "already does. So it cannot explain why wide networks generalize.",
    "C3": "More training samples take a network farther from its initialization.",
    "C4": "Corrupted labels take it much farther, the more so the more of them there are.",
    "C5": "Wider networks do not generalize worse, although they have more parameters.",
    "C6": "Capacity must be measured from the initialization: the capacity of a ball around it does not depend on "
    "width, that of a ball around the origin does.",
    "C7": "From the sequel (arXiv 1902.04742): distances, and the bounds built on them, can grow with the number of "
    "samples while the gap falls.",
    "O1a": "Open in the paper: why is the distance small? If it is the linear part of the network that decides, a "
    "linearized twin moves in the same way: less with width, more with samples and with noise.",
    "O1b": "If learning features shortens the way, the network moves no farther than its linearized twin.",
    "O2": "Open in the paper: is the distance enough? If it is, moving it on purpose moves the gap as much as one sees "
    "between networks that were left alone.",
    "O2'": "If it is, two networks at the same distance have the same gap, whatever brought them there.",
}
# Claim -> why, where the networks contradict it: our reading, which no test has decided.
REASONS = {
    "C2": "The initialization's norm stops growing once a layer is much wider than its inputs. With one hidden layer "
    "over few inputs it hardly grows, and narrow networks have to go far to fit noisy labels.",
    "C6": "The radius, the distance itself, shrinks with width, so the ball does too: its capacity is not constant but "
    "falls. That is stronger than the claim, on the side that the paper argues for.",
    "O2": "Pushed away from its start, or held closer to it, a network keeps nearly the gap that it has when left "
    "alone (see the arms). So the distance goes with what makes a network generalize, its width and its data, but it "
    "is not what makes it do so. This is about moves that still let the network fit its labels.",
    "O1b": "The excess grows with the learning rate (see the means by lr): much of it is the size of the steps, which "
    "the twin, a linear model, feels less.",
}
