"""Every choice that changes a figure, with its default, its bounds and the reason for the default."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Parameters(BaseModel):
    """The measurement's settings, `[measure]` in `perdure.toml`; SQL reads each as `getvariable('<name>')`.

    A changed parameter changes every figure that depends on it, so the next build computes all of them again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_zone: str = Field("UTC", description="The organisation's time zone (IANA name): decides to which day and week a contact belongs.")
    panels: tuple[Literal["week", "month"], ...] = Field(
        ("month",), description="Into which periods ties are counted, besides the whole observed time: week (ISO) and month."
    )
    bulk_cap: int = Field(
        20,
        ge=2,
        le=250,
        description="A message, by e-mail or chat, to more people than this is kept as an interaction but makes no contact.",
    )
    meeting_cap: int = Field(20, ge=2, le=250, description="A meeting or call of more people than this makes no contact.")
    reaction_weight: float = Field(0.1, ge=0, le=1, description="Weight of a reaction as a contact.")
    copied_share: float = Field(0.5, ge=0, le=1, description="Weight of a copied (cc) recipient relative to an addressed one.")
    direct_size: int = Field(
        5,
        ge=1,
        description="A message to at most so many people counts whole towards a tie, and so does a meeting with at most so many others; "
        "larger ones count by their weight, 1/(n-1), so that groups alone make no ties.",
    )
    tie_active_days: int = Field(
        3, ge=1, description="A pair with at least this many days in touch in a panel is a tie; one in exchange both ways is one too."
    )
    half_life_days: float = Field(60, gt=0, description="Half-life of the day-decay strength: 60 to 90 days predict best on real data.")
    short_half_life_days: float = Field(14, gt=0, description="Second half-life of the day-decay strength: what is hot now.")
    long_half_life_days: float = Field(180, gt=0, description="Third half-life of the day-decay strength: what has lasted.")
    silence_days: int = Field(90, ge=7, description="A tie ends at its last contact when this many observed days of silence follow.")
    gap_minimum_days: int = Field(
        4, ge=2, description="A silence of a whole medium shorter than this is never taken for a gap in collection."
    )
    gap_minimum_expected: float = Field(
        20, gt=0, description="A silence of a whole medium is a gap only if at least this many interactions were to be expected in it."
    )
    null_draws: int = Field(40, ge=5, description="How many random networks a permutation null is drawn from.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of every interval.")
    seed: int = Field(20260101, description="Seed of every random draw, so that a rerun gives the same figures.")
    landmark_days: int = Field(
        28,
        ge=7,
        description="What a tie was like at its start is read from this many days after it qualified; its survival then counts from there.",
    )
    short_gap_days: int = Field(
        7,
        ge=0,
        description="A gap in collection of up to this many days is passed over when a tie's end is judged: silence is counted across it.",
    )
    email_send_minutes: float = Field(
        4, ge=0, le=60, description="Assumed minutes to write one e-mail, for person-hours; an assumption, not a measurement."
    )
    email_read_minutes: float = Field(1, ge=0, le=60, description="Assumed minutes for one recipient to read one e-mail.")
    chat_send_minutes: float = Field(0.75, ge=0, le=60, description="Assumed minutes to write one chat or channel message.")
    chat_read_minutes: float = Field(
        0.25, ge=0, le=60, description="Assumed minutes for one person addressed to read one chat or channel message."
    )
    reach_days: int = Field(28, ge=2, le=180, description="Within how many days knowledge is followed from person to person.")
    reach_start_count: int = Field(8, ge=2, le=60, description="From how many days, spread over the observed time, knowledge is followed.")
    hanging_share: float = Field(
        0.8,
        gt=0.5,
        le=1,
        description="A relationship hangs on one (or two) people when they carry at least this share of its contact on one side.",
    )
    minimum_pairs: int = Field(
        10,
        ge=3,
        description="Reciprocity, cross-team share and the like get an interval and a null only where this many pairs are in contact.",
    )
    policy_margin: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="A policy is said to have changed no more than this share of the mean outcome before, where a test shows it.",
    )
    bridge_lookback_days: int = Field(180, ge=14, description="Whether a pair is a bridge is judged from contact in this many days.")
    bridge_horizon_days: int = Field(
        90, ge=7, description="Within how many days after that a pair must be in contact again to count as kept."
    )
    newcomer_days: int = Field(90, ge=7, description="For how long after joining a person counts as a newcomer.")
    prediction_window_days: int = Field(
        0, ge=0, description="From how many observed days contact is predicted; 0 = by the rule of prediction_cut."
    )
    prediction_horizon_days: int = Field(
        0, ge=0, description="For how many observed days ahead that is predicted; 0 = by the rule of prediction_cut."
    )
    prediction_sample: int = Field(
        12_000, ge=1_000, description="At most about so many pairs of each past day are used to fit and to test predictions."
    )
    gap_ratio_limit: float = Field(
        8,
        gt=1,
        description="Silence of more than so many times the usual gap between active days marks a tie as probably gone (Navarro 2017).",
    )
    forming_days: int = Field(30, ge=3, description="A pair whose first contact is at most so many observed days ago is forming.")
    response_weeks: int = Field(4, ge=1, le=52, description="A message not answered within this many weeks is taken to be unanswered.")
    response_sample: int = Field(
        3_000_000, ge=1_000, description="Of more messages than this, those of a fixed sample of pairs are followed to their answer."
    )
    working_days: tuple[int, ...] = Field(
        (1, 2, 3, 4, 5), description="Days of the working week, 1 for Monday, for response in working time."
    )
    working_from_hour: float = Field(8, ge=0, lt=24, description="When the working day begins, for response in working time.")
    working_to_hour: float = Field(18, gt=0, le=24, description="When the working day ends, for response in working time.")
