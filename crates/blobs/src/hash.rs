use sealock_oci::{Algorithm, Digest};
use sha2::{
    Digest as _, Sha256, Sha512,
    digest::common::hazmat::{SerializableState, SerializedState},
};

/// A running hash whose state can be kept and taken up again.
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of what was hashed so far.
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Sha256(hash) => {
                Digest::from_hash(Algorithm::Sha256, hash.clone().finalize().as_slice())
            }
            Self::Sha512(hash) => {
                Digest::from_hash(Algorithm::Sha512, hash.clone().finalize().as_slice())
            }
        }
    }

    /// The state, from which [`Hasher::restore`] goes on.
    pub(crate) fn save(&self) -> Vec<u8> {
        match self {
            Self::Sha256(hash) => hash.serialize().to_vec(),
            Self::Sha512(hash) => hash.serialize().to_vec(),
        }
    }

    /// `None` when the bytes are not a state of this algorithm.
    pub(crate) fn restore(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => {
                let state = SerializedState::<Sha256>::try_from(state).ok()?;
                Sha256::deserialize(&state).ok().map(Self::Sha256)
            }
            Algorithm::Sha512 => {
                let state = SerializedState::<Sha512>::try_from(state).ok()?;
                Sha512::deserialize(&state).ok().map(Self::Sha512)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_kept_state_goes_on_where_it_stopped(
            head in proptest::collection::vec(any::<u8>(), 0..400),
            tail in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&head);
                let mut hasher = Hasher::restore(algorithm, &hasher.save()).expect("own state");
                hasher.update(&tail);
                let whole = [head.clone(), tail.clone()].concat();
                prop_assert_eq!(hasher.digest(), Some(Digest::of(algorithm, &whole)));
            }
        }
    }

    #[test]
    fn foreign_states_are_refused() {
        let state = Hasher::new(Algorithm::Sha256).save();
        assert!(Hasher::restore(Algorithm::Sha512, &state).is_none());
        assert!(Hasher::restore(Algorithm::Sha256, &state[1..]).is_none());
        assert!(Hasher::restore(Algorithm::Sha256, &[]).is_none());
    }
}
