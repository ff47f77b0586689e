-- description: Ties between each two teams (and within each) in each period: how many, how many there would be if ties fell on anyone,
--   how mutual they are, and how many of the last period's ties were kept.
-- question: Which teams work together more than their sizes explain, and which hardly at all?
-- grain: panel_kind, panel_start, team_a, team_b
-- role: people | person_count
-- role: people of team_a | team_a_person_count
-- role: people of team_b | team_b_person_count
-- role: design | is_within
-- role: pairs | tie_count
-- role: volume | possible_tie_count, expected_tie_count_dyad, expected_tie_count_degree
-- role: estimate over tie_count | density, density_ratio, degree_ratio
-- role: interval of density_ratio | density_ratio_low, density_ratio_high
-- role: pairs among tie_count | directed_tie_count, kept_tie_count
-- role: pairs among directed_tie_count | mutual_tie_count
-- role: share over directed_tie_count | mutual_share
-- role: lag of tie_count | previous_tie_count
-- role: share over previous_tie_count | decay
-- role: interval of decay | decay_low, decay_high
-- role: words | decay_reason
-- column: panel_kind | text | week, month or all.
-- column: panel_start | date | First day of the period.
-- column: team_a | text | The team that comes first by name.
-- column: team_b | text | The other team; the same one for ties within it.
-- column: is_within | flag | Whether both are the same team.
-- column: person_count | count | People with a tie between the two, on the side with fewer (within a team: people with a tie inside it).
-- column: team_a_person_count | count | People of team_a who were in contact with anyone in the period.
-- column: team_b_person_count | count | People of team_b who were.
-- column: tie_count | count | Ties between the two teams, over all media together.
-- column: possible_tie_count | count | Pairs of people that could be tied: n_a n_b, or n (n - 1) / 2 within a team.
-- column: density | ratio | tie_count / possible_tie_count.
-- column: expected_tie_count_dyad | weight | Ties expected if all ties of the organisation fell on its pairs of people at random.
-- column: density_ratio | ratio | tie_count / expected_tie_count_dyad: 1 is what team sizes give, 2 is twice that.
-- column: density_ratio_low | ratio | Lower end of its interval.
-- column: density_ratio_high | ratio | Upper end.
-- column: expected_tie_count_degree | weight | Ties expected if everyone kept the number of their ties, and the chance of each pair were
--   proportional to the product of the two numbers.
-- column: degree_ratio | ratio | tie_count / expected_tie_count_degree: 1 is what how busy people are gives.
-- column: directed_tie_count | count | Ties with messages (a direct weight of 1 or more, see pair_panel), not meetings only.
-- column: mutual_tie_count | count | Those with messages both ways (1 or more each way).
-- column: mutual_share | ratio | mutual_tie_count / directed_tie_count.
-- column: previous_tie_count | count | Ties between the two teams in the period before; empty for the first period and for `all`.
-- column: kept_tie_count | count | Those that are ties in this period too; empty unless both periods were observed in full.
-- column: decay | ratio | 1 - kept_tie_count / previous_tie_count.
-- column: decay_low | ratio | Lower end of its interval.
-- column: decay_high | ratio | Upper end.
-- column: decay_reason | text | Why decay is empty: no_previous (first period, or `all`), not_complete (one of the two periods was not
--   observed in full), no_tie (there was none in the period before).
-- unique: panel_kind, panel_start, team_a, team_b
-- not_null: panel_kind, panel_start, team_a, team_b, is_within, person_count, team_a_person_count, team_b_person_count, tie_count
-- assert: team_a <= team_b and is_within = (team_a = team_b)
-- assert: mutual_tie_count <= directed_tie_count and directed_tie_count <= tie_count
-- assert: kept_tie_count <= previous_tie_count
-- assert: density_ratio between density_ratio_low - 1e-9 and density_ratio_high + 1e-9
-- assert: (decay is null) = (decay_reason is not null)
-- caveat: Two teams that were not in contact in the period and had no tie in the one before have no row: they have no ties.
-- caveat: A person counts for the team of most of their contacts in the period, so that people and pairs add up.
-- caveat: Small teams give wild ratios: read the interval. It lets ties of the same person depend on each other and takes what is
--   expected as known.
-- caveat: Ties that went because someone left count as decayed; so do ties that were merely quiet in one month.
-- caveat: Many ties between two teams are not better than few: it depends on what the two have to do with each other.
-- reference: Chung, Lu (2002), Connected components in random graphs with given expected degree sequences, Annals of Combinatorics 6,
--   125-145.
-- reference: Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23, 564-577.
-- reference: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212.
with setting as (
    -- the normal quantile by Abramowitz and Stegun 26.2.23, exact to .0005
    select t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t) as z
    from (select sqrt(-2 * ln((1 - getvariable('confidence')) / 2)) as t) as tail
),
contacted as (
    select p.panel_kind, p.panel_start, e.person_key, e.team
    from metrics.pair_panel as p, unnest([
        {'person_key': p.person_a_key, 'team': p.team_a}, {'person_key': p.person_b_key, 'team': p.team_b}
    ]) as u(e)
    where p.medium = 'any' and p.active_days > 0 and e.team is not null
),
member as (
    select c.panel_kind, c.panel_start, c.person_key, c.team
    from contacted as c
    semi join (select person_key from core.person where is_internal) as i on i.person_key = c.person_key
    group by c.panel_kind, c.panel_start, c.person_key, c.team
    qualify row_number() over (partition by c.panel_kind, c.panel_start, c.person_key order by count(*) desc, c.team) = 1
),
inner_pair as (
    select
        p.panel_kind, p.panel_start, p.person_a_key, p.person_b_key, p.is_tie, p.is_mutual, p.ab_direct_weight + p.ba_direct_weight >= 1 - 1e-6 as is_directed,
        least(a.team, b.team) as team_a, greatest(a.team, b.team) as team_b, a.team <= b.team as is_in_order
    from metrics.pair_panel as p
    join member as a on a.panel_kind = p.panel_kind and a.panel_start = p.panel_start and a.person_key = p.person_a_key
    join member as b on b.panel_kind = p.panel_kind and b.panel_start = p.panel_start and b.person_key = p.person_b_key
    where p.medium = 'any' and p.active_days > 0
),
tie as (
    select * from inner_pair where is_tie
),
-- both ends of each tie, each with its side of the pair of teams: one side within a team
tie_end as (
    select panel_kind, panel_start, team_a, team_b, person_a_key as person_key, team_a = team_b or is_in_order as is_side_a from tie
    union all
    select panel_kind, panel_start, team_a, team_b, person_b_key, team_a = team_b or not is_in_order from tie
),
end_of_cell as (
    select panel_kind, panel_start, team_a, team_b, is_side_a, person_key, count(*) as tie_count
    from tie_end
    group by panel_kind, panel_start, team_a, team_b, is_side_a, person_key
),
side as (
    select
        panel_kind, panel_start, team_a, team_b,
        count(*) filter (where is_side_a) as tied_a_count,
        count(*) filter (where not is_side_a) as tied_b_count,
        coalesce(sum(tie_count * tie_count) filter (where is_side_a), 0) as square_a,
        coalesce(sum(tie_count * tie_count) filter (where not is_side_a), 0) as square_b
    from end_of_cell
    group by panel_kind, panel_start, team_a, team_b
),
degree as (
    select m.panel_kind, m.panel_start, m.person_key, m.team, coalesce(sum(e.tie_count), 0) as degree
    from member as m
    left join end_of_cell as e on e.panel_kind = m.panel_kind and e.panel_start = m.panel_start and e.person_key = m.person_key
    group by m.panel_kind, m.panel_start, m.person_key, m.team
),
team as (
    select panel_kind, panel_start, team, count(*) as person_count, sum(degree) as degree_sum, sum(degree * degree) as degree_square
    from degree
    group by panel_kind, panel_start, team
),
organisation as (
    select
        panel_kind, panel_start,
        sum(person_count) * (sum(person_count) - 1) / 2 as possible_count,
        sum(degree_sum) / 2 as tie_count,
        (sum(degree_sum) ** 2 - sum(degree_square)) / 2 as product_sum
    from team
    group by panel_kind, panel_start
),
present as (
    select
        panel_kind, panel_start, team_a, team_b,
        count(*) filter (where is_tie) as tie_count,
        count(*) filter (where is_tie and is_directed) as directed_tie_count,
        count(*) filter (where is_tie and is_mutual) as mutual_tie_count
    from inner_pair
    group by panel_kind, panel_start, team_a, team_b
),
succession as (
    select p.panel_kind, p.panel_start, p.is_complete and coalesce(b.is_complete, false) as is_observed, b.panel_start as previous_start
    from core.panel as p
    left join core.panel as b on b.panel_kind = p.panel_kind and b.panel_end = p.panel_start
),
previous as (
    select
        s.panel_kind, s.panel_start, t.team_a, t.team_b, count(*) as previous_tie_count, count(n.person_a_key) as kept_tie_count
    from succession as s
    join tie as t on t.panel_kind = s.panel_kind and t.panel_start = s.previous_start
    left join (select panel_kind, panel_start, person_a_key, person_b_key from metrics.pair_panel where medium = 'any' and is_tie) as n
        on n.panel_kind = s.panel_kind and n.panel_start = s.panel_start
        and n.person_a_key = t.person_a_key and n.person_b_key = t.person_b_key
    group by s.panel_kind, s.panel_start, t.team_a, t.team_b
),
cell as (
    select
        panel_kind, panel_start, team_a, team_b,
        coalesce(c.tie_count, 0) as tie_count,
        coalesce(c.directed_tie_count, 0) as directed_tie_count,
        coalesce(c.mutual_tie_count, 0) as mutual_tie_count,
        coalesce(p.previous_tie_count, 0) as previous_tie_count,
        coalesce(p.kept_tie_count, 0) as kept_tie_count
    from present as c
    full join previous as p using (panel_kind, panel_start, team_a, team_b)
),
sized as (
    select
        c.*,
        c.team_a = c.team_b as is_within,
        coalesce(a.person_count, 0) as team_a_person_count,
        coalesce(b.person_count, 0) as team_b_person_count,
        coalesce(case when is_within then s.tied_a_count else least(s.tied_a_count, s.tied_b_count) end, 0) as person_count,
        case when is_within then team_a_person_count * (team_a_person_count - 1) // 2 else team_a_person_count * team_b_person_count end
            as possible_tie_count,
        case when is_within then (a.degree_sum ** 2 - a.degree_square) / 2 else a.degree_sum * b.degree_sum end as product_sum,
        o.possible_count, o.tie_count as all_tie_count, o.product_sum as all_product_sum,
        -- sum over persons of the square of (ties in the cell - ties expected of them at the cell's density)
        case
            when is_within then s.square_a - (2.0 * c.tie_count) ** 2 / a.person_count
            else s.square_a - c.tie_count ** 2 / a.person_count + s.square_b - c.tie_count ** 2 / b.person_count
        end as person_square,
        u.is_observed, u.previous_start
    from cell as c
    join succession as u on u.panel_kind = c.panel_kind and u.panel_start = c.panel_start
    left join side as s on s.panel_kind = c.panel_kind and s.panel_start = c.panel_start and s.team_a = c.team_a and s.team_b = c.team_b
    left join team as a on a.panel_kind = c.panel_kind and a.panel_start = c.panel_start and a.team = c.team_a
    left join team as b on b.panel_kind = c.panel_kind and b.panel_start = c.panel_start and b.team = c.team_b
    left join organisation as o on o.panel_kind = c.panel_kind and o.panel_start = c.panel_start
),
judged as (
    select
        s.*, q.z,
        s.tie_count / nullif(s.possible_tie_count, 0) as density,
        s.all_tie_count * s.possible_tie_count / nullif(s.possible_count, 0) as expected_dyad,
        s.all_tie_count * s.product_sum / nullif(s.all_product_sum, 0) as expected_degree,
        -- sum over pairs of the square of (tied - density): the variance, were pairs independent
        s.tie_count * (1 - density) as pair_square,
        sqrt(greatest(s.person_square - pair_square, pair_square)) / nullif(s.tie_count, 0) as log_deviation,
        case
            when s.previous_start is null then 'no_previous'
            when not s.is_observed then 'not_complete'
            when s.previous_tie_count = 0 then 'no_tie'
        end as decay_reason,
        case when decay_reason is null then 1 - s.kept_tie_count / s.previous_tie_count end as decay,
        q.z ** 2 / s.previous_tie_count as slack
    from sized as s
    cross join setting as q
)
select
    panel_kind, panel_start, team_a, team_b, is_within, person_count, team_a_person_count, team_b_person_count, tie_count, possible_tie_count,
    density,
    round(expected_dyad, 9) as expected_tie_count_dyad,
    tie_count / nullif(expected_dyad, 0) as density_ratio,
    case when tie_count > 0 then density_ratio * exp(-z * log_deviation) when expected_dyad > 0 then 0 end as density_ratio_low,
    -- without a tie: as many as would be missed this rarely
    case when tie_count > 0 then density_ratio * exp(z * log_deviation) else -ln((1 - getvariable('confidence')) / 2) / nullif(expected_dyad, 0) end
        as density_ratio_high,
    round(expected_degree, 9) as expected_tie_count_degree,
    tie_count / nullif(expected_degree, 0) as degree_ratio,
    directed_tie_count,
    mutual_tie_count,
    mutual_tie_count / nullif(directed_tie_count, 0) as mutual_share,
    case when previous_start is not null then previous_tie_count end as previous_tie_count,
    case when previous_start is not null and is_observed then kept_tie_count end as kept_tie_count,
    decay,
    case when decay is not null
        then greatest((decay + slack / 2 - z * sqrt(decay * (1 - decay) / previous_tie_count + slack / previous_tie_count / 4)) / (1 + slack), 0)
    end as decay_low,
    case when decay is not null
        then least((decay + slack / 2 + z * sqrt(decay * (1 - decay) / previous_tie_count + slack / previous_tie_count / 4)) / (1 + slack), 1)
    end as decay_high,
    decay_reason
from judged
