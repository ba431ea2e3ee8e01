"""How people ask: what stands around a request and decides nothing."""

from recall import cap

# Words that lead to a name and are no part of it.
NAMED = ["the one called", "named", "called", "one named", "something called", "by the name of", "with the name", "that is called", "whose name is", "known as"]


def typed(r, q, arguments):
    """The request as somebody types it: what surrounds the values varies, they themselves stay."""
    texts = [str(v) for v in arguments.values()]
    starts, ends = any(q.startswith(v) for v in texts), any(q.endswith(v) for v in texts)
    if r.random() < 0.55 and not starts:
        q = cap(q)
    if q[-1] in "?." and not ends:
        if r.random() < 0.2:
            q = q[:-1]
    elif q[-1] not in ".!?":
        if r.random() < 0.07:
            q += r.choice([", please", " please", " for me", " now", ", thanks", ", will you", " if you can"])
        q += r.choice(["", "", "", "", ".", ".", ".", "!", "?"])
    q = r.choice(POLITE).format(q=q)
    k = r.random()
    if k < 0.07:
        q = r.choice(BEFORE) + " " + q
    elif k < 0.12:
        q = q + ("" if q[-1] in ".!?" or ends else ".") + (" " if not ends else r.choice([" - ", "\n", ". "])) + r.choice(BEHIND)
    return q


POLITE = ["{q}", "{q}", "{q}", "{q}", "{q}", "{q}", "Please: {q}", "Hi! {q}", "Hey, {q}", "Could you help me? {q}", "{q} Thanks!", "I need something: {q}", "Use a tool: {q}", "Hello. {q}", "Can you do this: {q}", "I'd like to know: {q}", "Tell me: {q}", "One question: {q}", "Quick one: {q}", "Now: {q}", "{q} I need it for work.", "Next: {q}", "Be so kind: {q}"]
# Chatter that has nothing to do with the request.
BEFORE = ["I am in a hurry.", "We have guests today.", "It was a long day.", "My hands are full.", "I asked my brother, but he did not know.", "Sorry to bother you again.", "Good morning.", "So, here is the thing.", "Right, next point.",
          "I hope you can do this.", "There is one more thing on my mind.", "My colleague said you could help.", "I'm on the phone, so be quick.", "I don't have my glasses.", "OK, listen.", "Me again.", "It's late already.", "I nearly forgot.", "The others are waiting.",
          "You know what?", "Since you are here:", "First of all:", "I'm cooking at the moment.", "Long story short:", "I can't do it myself right now.", "As we said yesterday:", "Now something else.", "This one is important.", "If it isn't too much trouble:"]
BEHIND = ["I can't do it myself.", "It's for my sister.", "Thanks a lot!", "Take your time.", "That's all.", "My boss asks for it.", "I'll wait.", "Cheers", "Tell me when it is done.", "We talked about it.", "I promised it.", "It is urgent.", "Otherwise I forget it.", "You are great.", "Hurry up!", "No rush.", "Thank you in advance.",
          "Just do it.", "And tell me the result.", "I really need this.", "Is that possible?", "Can you?", "Ok?", "Would be great."]
