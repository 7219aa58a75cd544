use super::state::{
    Client, Collector, Guard, LAST_TICK, LEASE, MOST_UPLOADS, Row, State, bit, bits,
};
use sealock_lifecycle::invariants;
use stateright::{Model, Property};

/// The protocol, perhaps without one of its guards.
pub(crate) struct Protocol {
    pub(crate) without: Option<Guard>,
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Time passes.
    Tick,
    /// The process dies and starts again.
    Crash,
    /// A client that does nothing begins something.
    Upload(usize, usize),
    Look(usize, usize),
    Mount(usize, usize),
    Push(usize, usize),
    /// These two are one transaction each.
    DeleteManifest(usize),
    DeleteBlob(usize),
    /// A client goes on with what it is in the middle of.
    Step(usize),
    /// The collector begins.
    ReviewLink(usize),
    ReviewRow,
    Claim(u8),
    /// The collector goes on.
    Work,
}

impl Protocol {
    fn has(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }

    /// Links, or makes the lease of a link longer, and tells the client.
    fn link(&self, state: &mut State, repository: usize) {
        let ends = state.now + LEASE;
        state.links[repository] = Some(match state.links[repository] {
            None => Some(ends),
            Some(review) => review.map(|review| review.max(ends)),
        });
        state.promised[repository] = Some(ends);
    }

    fn commit_upload(&self, state: &mut State, generation: u8, repository: usize) -> Client {
        let review = Some(state.now + LEASE);
        let dying = bits(state.dying & state.files).next();
        let next = match (state.row, dying) {
            (Some(_), _) => Client::Spare { generation },
            (None, Some(old)) if !self.has(Guard::UploadHasItsOwnFile) => {
                state.row = Some(Row { generation: old, review });
                Client::Spare { generation }
            }
            (None, _) => {
                state.row = Some(Row { generation, review });
                Client::Idle
            }
        };
        self.link(state, repository);
        next
    }

    fn look(&self, state: &mut State, repository: usize) -> Client {
        let Some(review) = state.links[repository].filter(|_| state.row.is_some()) else {
            return Client::Idle;
        };
        let ends = state.now + LEASE;
        let kept = state.named[repository] || review.is_none_or(|review| review >= ends);
        if kept || !self.has(Guard::LookGrantsLease) {
            state.promised[repository] = Some(ends);
            return Client::Idle;
        }
        Client::Looked { repository }
    }

    fn step(&self, state: &mut State, client: Client) -> Client {
        match client {
            Client::Idle => Client::Idle,
            Client::Uploaded { generation, repository } => {
                self.commit_upload(state, generation, repository)
            }
            Client::Spare { generation } => {
                state.files &= !bit(generation);
                Client::Idle
            }
            Client::Looked { repository } => {
                if state.links[repository].is_some() {
                    self.link(state, repository);
                }
                Client::Idle
            }
            Client::Mounting { repository } => {
                if state.row.is_none() {
                    return Client::Idle;
                }
                if !self.has(Guard::MountLocksBlob) {
                    return Client::Linking { repository };
                }
                self.link(state, repository);
                Client::Idle
            }
            Client::Linking { repository } => {
                self.link(state, repository);
                Client::Idle
            }
            Client::Pushing { repository } => {
                state.named[repository] = true;
                Client::Idle
            }
        }
    }

    fn condemn(&self, state: &mut State) -> Collector {
        let Some(row) = state.row.take() else { return Collector::Idle };
        let generation = row.generation;
        if !self.has(Guard::DyingIsRemembered) {
            return Collector::Removing { generation };
        }
        state.dying |= bit(generation);
        Collector::Idle
    }

    /// The link goes, and with the last one the blob.
    fn drop_link(&self, state: &mut State, repository: usize) -> Collector {
        state.links[repository] = None;
        match state.links.iter().any(Option::is_some) {
            true => Collector::Idle,
            false => self.condemn(state),
        }
    }

    fn review_link(&self, state: &mut State, repository: usize) -> Collector {
        if state.named[repository] {
            state.links[repository] = Some(None);
            return Collector::Idle;
        }
        if !self.has(Guard::ReviewLocksFirst) {
            return Collector::Judged { repository };
        }
        if !self.has(Guard::RowBeforeBytes)
            && state.links[1 - repository].is_none()
            && let Some(row) = state.row
        {
            state.files &= !bit(row.generation);
            return Collector::Bare { repository };
        }
        self.drop_link(state, repository)
    }

    fn work(&self, state: &mut State) -> Collector {
        match state.collector {
            Collector::Idle => Collector::Idle,
            Collector::Removing { generation } => {
                state.files &= match self.has(Guard::FilesHaveGenerations) {
                    true => !bit(generation),
                    false => 0,
                };
                Collector::Removed { generation }
            }
            Collector::Removed { generation } => {
                state.dying &= !bit(generation);
                Collector::Idle
            }
            Collector::Judged { repository } => self.drop_link(state, repository),
            Collector::Bare { repository } => match state.named[repository] {
                true => Collector::Idle,
                false => self.drop_link(state, repository),
            },
        }
    }

    fn begin(&self, state: &mut State, client: usize, action: Action) {
        let next = match action {
            Action::Upload(_, repository) => {
                let generation = state.uploads;
                state.uploads += 1;
                state.files |= bit(generation);
                Client::Uploaded { generation, repository }
            }
            Action::Look(_, repository) => self.look(state, repository),
            Action::Mount(_, repository) => Client::Mounting { repository },
            Action::Push(_, repository) if self.has(Guard::PushLocksLinks) => {
                state.named[repository] = true;
                Client::Idle
            }
            Action::Push(_, repository) => Client::Pushing { repository },
            _ => Client::Idle,
        };
        state.clients[client] = next;
    }

    fn crash(&self, state: &mut State) {
        state.leaked |= state.writing() & state.files;
        state.clients = [Client::Idle; 2];
        state.collector = Collector::Idle;
        state.crashed = true;
    }

    /// Lets every lease end, and the collector work until it has nothing to do.
    fn drained(&self, state: &State) -> State {
        let mut state = state.clone();
        while state.collector != Collector::Idle {
            state.collector = self.work(&mut state);
        }
        self.crash(&mut state);
        state.now = u8::MAX / 2;
        for repository in 0..2 {
            if state.links[repository].flatten().is_some_and(|review| review <= state.now) {
                state.collector = self.review_link(&mut state, repository);
            }
            while state.collector != Collector::Idle {
                state.collector = self.work(&mut state);
            }
        }
        self.review_row(&mut state);
        for generation in bits(state.dying) {
            state.files &= !bit(generation);
            state.dying &= !bit(generation);
        }
        state
    }

    fn review_row(&self, state: &mut State) {
        let Some(row) = &mut state.row else { return };
        if row.review.is_none_or(|review| review > state.now) {
            return;
        }
        row.review = None;
        if state.links.iter().all(Option::is_none) {
            state.collector = self.condemn(state);
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::empty()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < LAST_TICK {
            actions.push(Action::Tick);
        }
        if !state.crashed {
            actions.push(Action::Crash);
        }
        for (client, at) in state.clients.iter().enumerate() {
            if *at != Client::Idle {
                actions.push(Action::Step(client));
                continue;
            }
            for repository in 0..2 {
                if state.uploads < MOST_UPLOADS {
                    actions.push(Action::Upload(client, repository));
                }
                if state.links[repository].is_some() {
                    actions.push(Action::Look(client, repository));
                    actions.push(Action::Mount(client, 1 - repository));
                    // The push finds the link and its row, or is told that the blob is missing.
                    if state.row.is_some() && !state.named[repository] {
                        actions.push(Action::Push(client, repository));
                    }
                }
            }
        }
        for repository in 0..2 {
            match (state.named[repository], state.links[repository]) {
                (true, _) => actions.push(Action::DeleteManifest(repository)),
                (false, Some(_)) => actions.push(Action::DeleteBlob(repository)),
                (false, None) => {}
            }
        }
        if state.collector != Collector::Idle {
            actions.push(Action::Work);
            return;
        }
        for repository in 0..2 {
            if state.links[repository].flatten().is_some_and(|review| review <= state.now) {
                actions.push(Action::ReviewLink(repository));
            }
        }
        if state.row.and_then(|row| row.review).is_some_and(|review| review <= state.now) {
            actions.push(Action::ReviewRow);
        }
        actions.extend(bits(state.dying).map(Action::Claim));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Crash => self.crash(&mut state),
            Action::Upload(client, _)
            | Action::Look(client, _)
            | Action::Mount(client, _)
            | Action::Push(client, _) => self.begin(&mut state, client, action),
            Action::Step(client) => {
                let next = self.step(&mut state, last.clients[client]);
                state.clients[client] = next;
            }
            Action::DeleteManifest(repository) => {
                state.named[repository] = false;
                let wait = if self.has(Guard::DeletionWaitsForLease) { LEASE } else { 0 };
                let ends = state.now + wait;
                if let Some(review) = &mut state.links[repository]
                    && self.has(Guard::DeletionQueues)
                {
                    *review = Some(review.map_or(ends, |review| review.max(ends)));
                }
            }
            Action::DeleteBlob(repository) => {
                state.links[repository] = None;
                // Who asks for this takes back what others were told.
                state.promised[repository] = None;
                let ends = state.now + LEASE;
                if let Some(row) = &mut state.row
                    && self.has(Guard::UnlinkQueues)
                {
                    row.review = Some(row.review.map_or(ends, |review| review.max(ends)));
                }
            }
            Action::ReviewLink(repository) => {
                state.collector = self.review_link(&mut state, repository);
            }
            Action::ReviewRow => self.review_row(&mut state),
            Action::Claim(generation) => state.collector = Collector::Removing { generation },
            Action::Work => state.collector = self.work(&mut state),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing acknowledged is lost", |_, state: &State| {
                invariants::lost(&state.view()).is_empty()
            }),
            Property::always("nothing is forgotten", |model: &Self, state: &State| {
                let mut view = state.view();
                if let (Collector::Removing { generation }, false) =
                    (state.collector, model.has(Guard::DyingIsRemembered))
                {
                    // It lives in the collector's memory only, which is no harm until it crashes.
                    view.writing.insert((super::state::DIGEST, i64::from(generation)));
                }
                invariants::forgotten(&view).is_empty()
            }),
            Property::always("garbage is freed in the end", |model: &Self, state: &State| {
                invariants::garbage(&model.drained(state).view()).is_empty()
            }),
        ]
    }
}
