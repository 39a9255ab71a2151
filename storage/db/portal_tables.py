"""Tables of the portal: published cards, subscribers, proofs of domain control, complaints.

They hold what people wrote and how to reach them, so everything must be erasable. Complaints, their steps and
attachments are in the chain, by commitments to the words (forbear.storage.chain.leaves). What a complaint changes in a
decision is in the log, as a line of the operator's list that the decision quotes.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from forbear.storage.db.schema import metadata
from forbear.storage.db.types import Count, Instant, SafeText

cards = Table(
    "cards",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the version."),
    Column("published_at", Instant, nullable=False, index=True, comment="When it was first published (UTC)."),
    Column("digest", Text, nullable=False, comment="SHA-256 of the content, in hexadecimal."),
    Column("content", Text, nullable=False, comment="The card: JSON in canonical form (RFC 8785)."),
    comment="Every version of what the portal says about the crawlers (measure 1.3(4)).",
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the subscription."),
    Column("email", SafeText, nullable=False, unique=True, comment="Where changes of the card are sent to."),
    Column("token", Text, nullable=False, unique=True, comment="End of the links in mails, which confirm or end it."),
    Column("asked_at", Instant, nullable=False, comment="When somebody asked for it (UTC)."),
    Column("confirmed_at", Instant, comment="When the reader of that address confirmed (UTC); empty: not yet."),
    comment="Mail subscriptions to changes of the card. Rows go when one ends, or is not confirmed in time.",
)

mails = Table(
    "mails",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the mail."),
    Column("recipient", SafeText, nullable=False, comment="Address; emptied when it is sent or given up."),
    Column("subject", SafeText, nullable=False, comment="Its subject."),
    Column("body", Text, nullable=False, comment="Its text; emptied when it is sent or given up."),
    Column("queued_at", Instant, nullable=False, comment="When it was written (UTC)."),
    Column("due_at", Instant, index=True, comment="When it is tried next (UTC); empty: sent or given up."),
    Column("attempts", Integer, nullable=False, comment="How often it was tried."),
    Column("sent_at", Instant, comment="When the mail server accepted it (UTC)."),
    Column("error", SafeText, comment="Why the last try failed."),
    Column("unsubscribe", Text, comment="Address that ends what it is part of (RFC 8058); emptied as the text is."),
    comment="Mails to be sent, and that they were.",
)

controls = Table(
    "controls",
    metadata,
    Column("id", Text, primary_key=True, comment="SHA-256 of the secret in the private link, in hexadecimal."),
    Column("host", Text, nullable=False, index=True, comment="The host (A-labels); what lies below it is included."),
    Column("token", Text, nullable=False, comment="What the owner has to show on the site or in its DNS."),
    Column("asked_at", Instant, nullable=False, comment="When somebody asked for it (UTC)."),
    Column("proven_at", Instant, comment="When the token was found by https or in the DNS (UTC)."),
    Column(
        "found",
        SafeText,
        comment="Where it was found: the URL, or the name of the DNS record. By http, it proves nothing.",
    ),
    Column("expires_at", Instant, nullable=False, comment="When the request, or the proof, ends (UTC)."),
    comment="Who proved control of a host, how, and until when it counts.",
)

complaints = Table(
    "complaints",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the complaint."),
    Column("number", Text, nullable=False, unique=True, comment="What people call it, such as 2026-7KQ2M9."),
    Column("link", Text, nullable=False, unique=True, comment="SHA-256 of the secret in the private link."),
    Column("received_at", Instant, nullable=False, comment="When it was sent (UTC)."),
    Column("state", Text, nullable=False, comment="received, acknowledged, in review, or how it was decided."),
    Column("due_at", Instant, comment="By when the next step is due (UTC); empty: decided."),
    Column("name", SafeText, nullable=False, comment="Who complains."),
    Column("email", SafeText, nullable=False, comment="How they are reached."),
    Column("on_behalf", SafeText, nullable=False, comment="For whom, and by what right; empty: for themselves."),
    Column("works", SafeText, nullable=False, comment="Which works or other subject matter it is about."),
    Column("urls", JSON, nullable=False, comment="Where they are: domains and URLs, as a list."),
    Column("what", SafeText, nullable=False, comment="What went wrong, in their words."),
    Column("good_faith", Boolean, nullable=False, comment="Whether they stated that it is accurate and in good faith."),
    Column("duplicate_of", Text, ForeignKey("complaints.id"), comment="The earlier complaint about the same."),
    Index(None, "state", "due_at"),
    comment="Complaints by rightsholders (measure 1.5(2)).",
)

complaint_steps = Table(
    "complaint_steps",
    metadata,
    Column("complaint", Text, ForeignKey("complaints.id"), primary_key=True, comment="The complaint."),
    Column("position", Integer, primary_key=True, comment="Order, from 0."),
    Column("at", Instant, nullable=False, comment="When (UTC)."),
    Column("by", SafeText, nullable=False, comment="Who took the step."),
    Column("state", Text, nullable=False, comment="The state from then on."),
    Column("reason", SafeText, nullable=False, comment="Why; shown to the person who complained."),
    Column("blocks", JSON, comment="What it blocks from then on, as a list; empty: nothing."),
    Column("duplicate_of", Text, comment="The earlier complaint, of a step that closes it as a duplicate."),
    comment="How each complaint was handled: every step with its time, its person and its reason.",
)

complaint_files = Table(
    "complaint_files",
    metadata,
    Column("complaint", Text, ForeignKey("complaints.id"), primary_key=True, comment="The complaint."),
    Column("position", Integer, primary_key=True, comment="Order, from 0."),
    Column("name", SafeText, nullable=False, comment="Its name, as it was sent."),
    Column("media_type", Text, nullable=False, comment="Media type, by its first bytes."),
    Column("size", Count, nullable=False, comment="Bytes."),
    Column("sha256", Text, nullable=False, comment="SHA-256 of the content, in hexadecimal."),
    Column("content", LargeBinary, nullable=False, comment="The bytes."),
    comment="What was sent along with complaints; it is only ever handed out as a download.",
)

complaint_blocks = Table(
    "complaint_blocks",
    metadata,
    Column("complaint", Text, ForeignKey("complaints.id"), primary_key=True, comment="The complaint."),
    Column("match", SafeText, primary_key=True, comment="A domain with all below it, or what URLs begin with."),
    Column("at", Instant, nullable=False, comment="When it was accepted (UTC)."),
    Column("by", SafeText, nullable=False, comment="Who accepted it."),
    comment="What accepted complaints add to the operator's list, while they stay accepted.",
)
