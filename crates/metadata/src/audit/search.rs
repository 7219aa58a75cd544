//! Events among millions. No index holds every mixture of conditions, so one of them leads: its
//! index gives the events, in order where it has one value, and the others are looked at in the
//! rows. Which one leads is told by counting, no further than it matters, what each leaves.

use super::{Event, Filter, Span, read};
use crate::{
    Result, Row, ToValue as _, Tx, Value,
    listing::{self, Field, Holds, Listed, MAX_ROWS, MAX_TERMS, Term, Wanted},
    params,
    projects::Visible,
};
use jiff::Timestamp;
use std::fmt::Write as _;

/// How far a list of events goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Events that are counted and shown.
    pub shown: u32,
    /// Events among which a condition is looked for that no index answers by itself, such as a part
    /// of a name: the newest ones of the time that is asked for. Where one condition leaves fewer
    /// than are shown, these are looked at, however old they are.
    pub searched: u32,
}

/// Names that are looked through for a part of one; where there are more, events are.
const MAX_NAMES: u32 = 20_000;
/// Values of one condition whose newest events are put together, each read from an index in order.
const MAX_ARMS: usize = 64;

/// What pages of events may be asked for.
pub const FIELDS: &[Field] = &[
    Field::new("id", "id", Holds::Int),
    Field::new("username", ACTOR, Holds::Text),
    Field::new("resource", RESOURCE, Holds::Text),
    Field::new("action", ACTION, Holds::Text),
    Field::new("op_time", "(happened_at + 0)", Holds::Time),
];

// As terms that no index is made of: a planner that knows nothing of the rows takes any index that
// it can.
const ACTOR: &str = "(actor || '')";
const ACTION: &str = "(action || '')";
const PROJECT: &str = "(project_id + 0)";

/// What an event is about: a tag, a digest, a repository or a project.
const RESOURCE: &str =
    "coalesce(repository || coalesce(':' || tag, '@' || digest, ''), project, '')";

const DONE: &str = " AND result = 'allowed'";
/// The table that all statements here read.
const EVENTS: &str = "SELECT 1 AS one FROM audit_events WHERE 1 = 1";

/// A condition that an index answers.
struct Lead {
    column: &'static str,
    /// The column for those that follow.
    plain: &'static str,
    values: Vec<Value>,
    list: Value,
}

impl Lead {
    fn texts(column: &'static str, plain: &'static str, texts: &[String]) -> Self {
        let list = Value::Texts(texts.iter().map(|text| one(text)).collect());
        Self { column, plain, values: texts.iter().map(crate::ToValue::to_value).collect(), list }
    }

    fn projects(ids: &[i64]) -> Self {
        let values = ids.iter().map(|id| id.to_value()).collect();
        Self { column: "project_id", plain: PROJECT, values, list: Value::Ints(ids.to_vec()) }
    }
}

/// As `Value`'s own conversion does.
fn one(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// What is asked for.
struct Search {
    leads: Vec<Lead>,
    /// Only what was not refused: each lead's index tells that too.
    done: bool,
    /// Further conditions, each with its ` AND `, and their parameters.
    rest: String,
    values: Vec<Value>,
    span: Span,
    /// The time that the conditions leave.
    time: (Option<Timestamp>, Option<Timestamp>),
    /// Whether rows must be looked at to tell what fits.
    looks: bool,
    /// Whether it may take very many rows until some fit.
    seeks: bool,
}

impl Search {
    /// Whatever is seen; with `done` only what was not refused.
    fn among(visible: &Visible, done: bool, span: Span) -> Self {
        let (all, ids) = visible.params();
        let leads = if all { Vec::new() } else { vec![Lead::projects(ids)] };
        let (rest, values) = (String::new(), Vec::new());
        let time = (None, None);
        Self { leads, done, rest, values, span, time, looks: false, seeks: false }
    }

    fn add(&mut self, name: &str, term: &Term) {
        let free = |column: &str| self.leads.iter().all(|lead| lead.column != column);
        let lead = match (name, term) {
            ("username", Term::Is(text)) if free("actor") => {
                Some(Lead::texts("actor", ACTOR, std::slice::from_ref(text)))
            }
            ("username", Term::AnyOf(texts)) if free("actor") => {
                Some(Lead::texts("actor", ACTOR, texts))
            }
            ("action", Term::AnyOf(texts)) if free("action") => {
                Some(Lead::texts("action", ACTION, texts))
            }
            _ => None,
        };
        if let Some(lead) = lead {
            self.leads.push(lead);
            let several = self.leads.len() > 1;
            (self.looks, self.seeks) = (self.looks || several, self.seeks || several);
        } else if let Some(field) = FIELDS.iter().find(|field| field.name == name) {
            listing::condition(&mut self.rest, &mut self.values, field, term);
            self.looks = true;
            // Of these the span or the key has told nearly all.
            self.seeks |= !matches!(name, "id" | "op_time");
        }
    }

    /// All conditions but the one that leads, with their parameters.
    fn others(&self, leads: Option<usize>, span: Span) -> (String, Vec<Value>) {
        self.conditions(leads, span, "id")
    }

    fn conditions(&self, leads: Option<usize>, span: Span, id: &str) -> (String, Vec<Value>) {
        let (mut sql, mut values) = (self.rest.clone(), self.values.clone());
        sql.push_str(if self.done { DONE } else { "" });
        for (place, lead) in self.leads.iter().enumerate() {
            if Some(place) != leads {
                values.push(lead.list.clone());
                _ = write!(sql, " AND {} = ANY(${})", lead.plain, values.len());
            }
        }
        let mut add = |column: &str, sign: &str, value: Value| {
            values.push(value);
            _ = write!(sql, " AND {column} {sign} ${}", values.len());
        };
        if span.begin > 0 {
            add(id, ">=", span.begin.to_value());
        }
        if span.end < i64::MAX {
            add(id, "<", span.end.to_value());
        }
        (sql, values)
    }

    /// All conditions, for a statement that reads the index by time where nothing leads.
    fn by_time(&self, span: Span) -> (String, Vec<Value>) {
        let (mut sql, mut values) = self.conditions(None, span, "(id + 0)");
        for (moment, sign) in [(self.time.0, ">="), (self.time.1, "<=")] {
            if let Some(moment) = moment {
                values.push(moment.to_value());
                _ = write!(sql, " AND happened_at {sign} ${}", values.len());
            }
        }
        (sql, values)
    }

    /// Whether the index by time is the one to be counted in.
    fn is_of_time(&self) -> bool {
        self.leads.is_empty() && !self.seeks && self.time != (None, None)
    }

    /// The condition that leads.
    fn led(lead: &Lead, values: &mut Vec<Value>) -> String {
        // One value is asked for by itself: its rows stand in their order in the index.
        let (value, list) = match lead.values.as_slice() {
            [value] => (value, false),
            _ => (&lead.list, true),
        };
        values.push(value.clone());
        match list {
            true => format!(" AND {} = ANY(${})", lead.column, values.len()),
            false => format!(" AND {} = ${}", lead.column, values.len()),
        }
    }

    /// Counts what a condition leaves by itself, up to `most`.
    async fn left_by(&self, tx: &mut Tx, lead: &Lead, most: u32) -> Result<u64> {
        let alone = Self::among(&Visible::All, self.done, self.span);
        let (others, mut values) = alone.others(None, self.span);
        let led = Self::led(lead, &mut values);
        count(tx, &format!("{led}{others}"), values, most).await
    }

    /// The condition that leaves the least, and how much that is. None where nothing leads.
    async fn leader(&self, tx: &mut Tx, most: u32) -> Result<Option<(usize, u64)>> {
        let mut best: Option<(usize, u64)> = None;
        for (place, lead) in self.leads.iter().enumerate() {
            let left = self.left_by(tx, lead, most).await?;
            if best.is_none_or(|(_, least)| left < least) {
                best = Some((place, left));
            }
        }
        Ok(best)
    }

    /// Numbers of events: a statement to be put into another one.
    fn numbers(
        &self,
        (leader, dense): (Option<usize>, bool),
        span: Span,
        order: Order,
        (limit, offset): (u32, u64),
    ) -> (String, Vec<Value>) {
        let by = order.sql();
        let lead = leader.and_then(|place| self.leads.get(place));
        let arms = |lead: &Lead| dense && (2..=MAX_ARMS).contains(&lead.values.len());
        match lead {
            // Each value's own events are in order in the index, all of them together are not.
            Some(lead) if arms(lead) => {
                let (others, mut values) = self.others(leader, span);
                let enough = offset.saturating_add(limit.into());
                values.extend(params![limit, offset, enough.min(i64::MAX.unsigned_abs())]);
                let count = values.len();
                let mut sql = "SELECT id FROM (".to_owned();
                for (arm, value) in lead.values.iter().enumerate() {
                    values.push(value.clone());
                    let union = if arm == 0 { "" } else { " UNION ALL " };
                    _ = write!(
                        sql,
                        "{union}SELECT id FROM (SELECT id FROM audit_events WHERE {} = ${}{others} \
                         ORDER BY {by} LIMIT ${count}) AS arm{arm}",
                        lead.column,
                        values.len(),
                    );
                }
                _ = write!(
                    sql,
                    ") AS arms ORDER BY {by} LIMIT ${} OFFSET ${}",
                    count - 2,
                    count - 1
                );
                (sql, values)
            }
            // So many values are most of all there are: the log itself is walked.
            Some(lead) if dense && lead.values.len() > MAX_ARMS => {
                self.walk((None, None), span, order, (limit, offset))
            }
            _ => self.walk((leader, lead), span, order, (limit, offset)),
        }
    }

    fn walk(
        &self,
        (leader, lead): (Option<usize>, Option<&Lead>),
        span: Span,
        order: Order,
        (limit, offset): (u32, u64),
    ) -> (String, Vec<Value>) {
        let by = order.sql();
        let (others, mut values) = match (lead, order) {
            (None, Order::Time { .. }) => self.by_time(span),
            _ => self.others(leader, span),
        };
        let led = lead.map(|lead| Self::led(lead, &mut values)).unwrap_or_default();
        values.extend(params![limit, offset]);
        let last = values.len();
        let sql = format!(
            "SELECT id FROM audit_events WHERE 1 = 1{led}{others} ORDER BY {by} \
             LIMIT ${} OFFSET ${last}",
            last - 1
        );
        (sql, values)
    }
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// By number.
    Number { newest_first: bool },
    /// By time, and by number between equals.
    Time { newest_first: bool },
}

impl Order {
    fn asked(wanted: &Wanted) -> Self {
        match wanted.order.first() {
            Some((name, newest_first)) if name == "op_time" => {
                Self::Time { newest_first: *newest_first }
            }
            Some((name, newest_first)) if name == "id" => {
                Self::Number { newest_first: *newest_first }
            }
            _ => Self::Number { newest_first: true },
        }
    }

    const fn sql(self) -> &'static str {
        match self {
            Self::Number { newest_first: true } => "id DESC",
            Self::Number { newest_first: false } => "id",
            Self::Time { newest_first: true } => "happened_at DESC, id DESC",
            Self::Time { newest_first: false } => "happened_at, id",
        }
    }

    /// The order of numbers, which is that of times but for what happens at once.
    const fn by_number(self) -> Self {
        match self {
            Self::Number { newest_first } | Self::Time { newest_first } => {
                Self::Number { newest_first }
            }
        }
    }
}

async fn count(tx: &mut Tx, conditions: &str, values: Vec<Value>, most: u32) -> Result<u64> {
    let sql =
        format!("SELECT count(*) AS total FROM ({EVENTS}{conditions} LIMIT {most}) AS counted");
    let rows = tx.query_shaped(&[EVENTS], sql, values).await?;
    rows.first().map_or(Ok(0), |row| row.get("total"))
}

async fn rows(
    tx: &mut Tx,
    (numbers, values): (String, Vec<Value>),
    order: Order,
) -> Result<Vec<Event>> {
    let by = order.sql();
    let sql = format!("SELECT * FROM audit_events WHERE id IN ({numbers}) ORDER BY {by}");
    tx.query_shaped(&[EVENTS], sql, values).await?.iter().map(read).collect()
}

/// Events in pages by number, newest first where no other order is asked for, as far as `reach`
/// says. With `done` only what was not refused. A number of statements that does not depend on the
/// events: at most nine.
pub async fn page(
    tx: &mut Tx,
    visible: &Visible,
    done: bool,
    wanted: &Wanted,
    reach: Reach,
) -> Result<Listed<Event>> {
    let most = reach.shown;
    let nothing = |total| Listed { items: Vec::new(), total };
    let terms: Vec<_> = wanted.terms.iter().take(MAX_TERMS).collect();
    let (since, until) = time(&terms);
    let Some(span) = Span::of(tx, since, until).await? else { return Ok(nothing(0)) };
    let mut search = Search::among(visible, done, span);
    search.time = (since, until);
    for (name, term) in terms {
        match (name.as_str(), term) {
            ("username", Term::Like(part)) => match actors(tx, part).await? {
                Some(names) => search.add(name, &Term::AnyOf(names)),
                None => search.add(name, term),
            },
            _ => search.add(name, term),
        }
    }
    let leader = search.leader(tx, most).await?;
    let dense = leader.is_none_or(|(_, left)| left >= u64::from(most));
    // Found whether or not it is needed, so that a list costs the same however long it is.
    let near = match search.seeks {
        true => newest_of(tx, span, reach.searched).await?,
        false => span,
    };
    let span = if dense { near } else { span };
    let total = match leader {
        Some((_, left)) if !search.looks => left,
        _ => {
            let place = leader.map(|(place, _)| place);
            let (others, mut values) = match search.is_of_time() {
                true => search.by_time(span),
                false => search.others(place, span),
            };
            let lead = place.and_then(|place| search.leads.get(place));
            let led = lead.map(|lead| Search::led(lead, &mut values)).unwrap_or_default();
            count(tx, &format!("{led}{others}"), values, most).await?
        }
    };
    if wanted.offset >= total {
        return Ok(nothing(total));
    }
    let asked = Order::asked(wanted);
    // Millions are not sorted: what an index does not have by time is taken by number.
    let order = if dense && leader.is_some() { asked.by_number() } else { asked };
    let slice = (wanted.limit.min(MAX_ROWS), wanted.offset);
    let numbers = search.numbers((leader.map(|(place, _)| place), dense), span, order, slice);
    Ok(Listed { items: rows(tx, numbers, asked).await?, total })
}

/// Events, newest first, that have their numbers in this span.
pub(super) async fn newest(
    tx: &mut Tx,
    filter: &Filter,
    span: Span,
    limit: u32,
) -> Result<Vec<Event>> {
    let (all, ids) = filter.visible.params();
    let visible = match filter.project_id {
        Some(project) if all || ids.contains(&project) => Visible::Only(vec![project]),
        Some(_) => return Ok(Vec::new()),
        None => filter.visible.clone(),
    };
    let mut search = Search::among(&visible, false, span);
    if !filter.actions.is_empty() {
        search.add("action", &Term::AnyOf(filter.actions.clone()));
    }
    if let Some(actor) = &filter.actor {
        search.add("username", &Term::Is(actor.clone()));
    }
    for (moment, sign) in [(filter.since, ">="), (filter.until, "<")] {
        if let Some(moment) = moment {
            search.values.push(moment.to_value());
            let place = search.values.len();
            _ = write!(search.rest, " AND (happened_at + 0) {sign} ${place}");
        }
    }
    // More than this are walked in order until a page is full.
    const FEW: u32 = 10_000;
    let leader = match search.leads.as_slice() {
        [lead] if lead.values.len() == 1 => Some((0, u64::from(FEW))),
        _ => search.leader(tx, FEW).await?,
    };
    let dense = leader.is_none_or(|(_, left)| left >= u64::from(FEW));
    let leader = leader.map(|(place, _)| place);
    let order = Order::Number { newest_first: true };
    let numbers = search.numbers((leader, dense), span, order, (limit, 0));
    rows(tx, numbers, order).await
}

/// Who did anything and has a name that holds this text, whatever they did: from one name in the
/// index to the next. None where there are more than [`MAX_NAMES`].
async fn actors(tx: &mut Tx, part: &str) -> Result<Option<Vec<String>>> {
    let sql = "WITH RECURSIVE names (actor, place) AS (SELECT min(e.actor), 1 FROM audit_events e \
               UNION ALL SELECT (SELECT min(e.actor) FROM audit_events e \
               WHERE e.actor > n.actor), n.place + 1 FROM names n \
               WHERE n.actor IS NOT NULL AND n.place <= CAST($2 AS INTEGER)) \
               SELECT n.actor AS actor, n.place AS place FROM names n WHERE n.actor IS NOT NULL \
               AND (n.place > CAST($2 AS INTEGER) OR lower(n.actor) LIKE lower($1) ESCAPE '\\')";
    let read = |row: &Row| Ok((row.get::<String>("actor")?, row.get::<u32>("place")?));
    let found = tx.list(sql, params![listing::holding(part), MAX_NAMES], read).await?;
    let all = found.iter().all(|(_, place)| *place <= MAX_NAMES);
    Ok(all.then(|| found.into_iter().map(|(actor, _)| actor).collect()))
}

/// The time that conditions leave.
fn time(terms: &[&(String, Term)]) -> (Option<Timestamp>, Option<Timestamp>) {
    let (mut since, mut until): (Option<Timestamp>, Option<Timestamp>) = (None, None);
    for (name, term) in terms {
        if name != "op_time" {
            continue;
        }
        let moment = |text: &String| listing::moment(text);
        let (low, high) = match term {
            Term::Is(at) | Term::Like(at) => (moment(at), moment(at)),
            Term::Between(low, high) => {
                (low.as_ref().and_then(moment), high.as_ref().and_then(moment))
            }
            Term::AnyOf(_) | Term::AllOf(_) => (None, None),
        };
        since = since.max(low);
        until = [until, high].into_iter().flatten().min();
    }
    (since, until)
}

/// The newest so many numbers of a span.
async fn newest_of(tx: &mut Tx, span: Span, many: u32) -> Result<Span> {
    let sql = "SELECT id FROM audit_events WHERE id < $1 ORDER BY id DESC LIMIT 1";
    let last = tx.find(sql, params![span.end], |row| row.get::<i64>("id")).await?.unwrap_or(0);
    Ok(Span { begin: span.begin.max(last - i64::from(many) + 1), ..span })
}
