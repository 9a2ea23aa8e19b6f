"""What arXiv 1901.01672 and its sequel say, claim by claim in our words; what they leave open, as questions; and why a
result may differ from it."""

from __future__ import annotations

# Claim -> what the paper says; of those that begin with O, which it leaves open, what one would expect.
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
    "O1a": "Why is the distance small? If the linear part of the network decides, a linearized twin moves in the same "
    "way: less far with width, farther with more samples and more noise.",
    "O1b": "If learning features shortens the way, the network moves no farther than its linearized twin.",
    "O2": "Is the distance enough? If it is, moving it on purpose moves the gap as much as one sees between networks "
    "that were left alone.",
    "O2'": "If it is, two networks at the same distance have the same gap, whatever brought them there.",
}
# Claim -> why, where the networks contradict it: our reading, which no test has decided.
REASONS = {
    "C2": "The initialization's norm stops growing once a layer is much wider than its inputs. With one hidden layer "
    "over few inputs it hardly grows, and narrow networks have to go far to fit noisy labels. The narrowest do not fit "
    "them at all there, so that cell compares two widths only.",
    "C6": "The ball's radius is the distance itself. It shrinks with width, and the capacity falls with it. The paper "
    "argues that a wide network's ball is no larger: that much holds in every cell. The capacity is found by ascent, "
    "from below, and ascent may find less of it in a wide network.",
    "O1b": "The excess grows with the learning rate (see the means by lr). So much of it is the size of the steps, "
    "which the twin, a linear model, feels less.",
    "O2": "The distance goes with the width and the data, and they go with the gap; moved by itself, the distance "
    "moves the gap little. Nor does one slope describe the arms: the closest ball raises the gap, and so does every "
    "shell. The slope among free networks rests on few widths, and there distance and width cannot be told apart. All "
    "this is about moves after which a network still fits its labels.",
}
