use crate::{
    HttpError, Result,
    patience::Patience,
    room::{ROOM, Room},
};
use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use sealock_oci::ErrorCode;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// Reads a whole body of at most `limit` bytes. `what` names it in the error. Large ones share a
/// limited room, which each gives back when its bytes are dropped.
pub async fn read_limited(body: Body, limit: usize, what: &str) -> Result<Bytes> {
    read_into(&ROOM, body, limit, what).await
}

async fn read_into(room: &Room, body: Body, limit: usize, what: &str) -> Result<Bytes> {
    let too_large = || {
        HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::SizeInvalid,
            format!("{what} has at most {limit} bytes"),
        )
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut body = body;
    let mut held = room.enter();
    let mut first = Bytes::new();
    // Copied together as they come: a million parts of a byte each would hold a buffer each.
    let mut whole: Vec<u8> = Vec::new();
    while let Some(frame) = in_time(held.ends(), body.frame()).await? {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(bytes) = frame.into_data() else { continue };
        let length = first.len().max(whole.len()) + bytes.len();
        if length > limit {
            return Err(too_large());
        }
        held.grow(length).await?;
        if first.is_empty() && whole.is_empty() {
            first = bytes;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&bytes);
    }
    Ok(held.keep(if whole.is_empty() { first } else { whole.into() }))
}

/// The next part of a body, if it comes in time.
async fn in_time<T>(end: Option<Instant>, part: impl Future<Output = T>) -> Result<T> {
    let Some(end) = end else { return Ok(part.await) };
    timeout_at(end, part).await.map_err(|_| {
        HttpError::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::SizeInvalid,
            "the request's body came too slowly",
        )
    })
}

/// Reads and forgets at most `limit` bytes of a body that nobody needs any more, so that the client
/// hears the answer: HTTP/2 clients take a stream that ends under their hands for a fault.
pub async fn discard(mut body: Body, limit: usize) {
    let mut left = limit;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, |bytes| bytes.remaining());
        if length > left {
            return;
        }
        left -= length;
    }
}

fn broken(error: &axum::Error) -> HttpError {
    HttpError::new(
        StatusCode::BAD_REQUEST,
        ErrorCode::SizeInvalid,
        "the request's body broke off before its end",
    )
    .with_log(error)
}

/// Most bytes that are still taken of a body whose request is answered already.
const LINGER_BYTES: usize = 64 * 1024 * 1024;
/// Longest time for which they are taken.
const LINGER: Duration = Duration::from_secs(5);

/// A body that fails when its sender pauses for too long or sends too little.
///
/// Dropped before its end, it is read on for a while: most clients send all they have before they
/// look for an answer, and a connection that is closed under them loses a refusal on its way. Those
/// that ask before they send (`Expect: 100-continue`) are not told to go on.
pub(crate) struct IdleLimited<B: Lingers> {
    /// None once it has ended.
    inner: Option<B>,
    lingers: bool,
    patience: Patience,
}

/// What a body must be like to be read after its request.
pub(crate) trait Lingers: HttpBody + Unpin + Send + 'static {}
impl<B: HttpBody<Data: Send, Error: Send> + Unpin + Send + 'static> Lingers for B {}

impl<B: Lingers> IdleLimited<B> {
    pub(crate) fn new(inner: B, lingers: bool, patience: Patience) -> Self {
        Self { inner: Some(inner), lingers, patience }
    }

    /// Who is too slow is not waited for again.
    fn give_up(&mut self) -> Box<dyn std::error::Error + Send + Sync> {
        self.inner = None;
        io::Error::new(io::ErrorKind::TimedOut, self.patience.to_string()).into()
    }
}

impl<B: Lingers> Drop for IdleLimited<B> {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take().filter(|inner| !inner.is_end_stream()) else { return };
        if !self.lingers {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _in_time = tokio::time::timeout(LINGER, drain(inner)).await;
            });
        }
    }
}

async fn drain(mut body: impl Lingers) {
    let mut taken = 0;
    while taken < LINGER_BYTES {
        let Some(Ok(frame)) = body.frame().await else { return };
        taken += frame.data_ref().map_or(0, |data| data.remaining());
    }
}

impl<B> HttpBody for IdleLimited<B>
where
    B: Lingers,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(inner).poll_frame(context) else {
            ready!(self.patience.wait(context));
            return Poll::Ready(Some(Err(self.give_up())));
        };
        let bytes = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.remaining()),
            _ => {
                self.inner = None;
                return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
            }
        };
        match self.patience.moved(bytes) {
            Ok(()) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Err(_) => Poll::Ready(Some(Err(self.give_up()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rates::Account, sender};
    use http_body_util::StreamBody;

    #[tokio::test]
    async fn bodies_beyond_the_limit_are_refused_whether_announced_or_not() {
        let announced = Body::from(vec![0; 11]);
        let error = read_limited(announced, 10, "a policy").await.expect_err("too large");
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let parts = (0..11).map(|_| Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"x"))));
        let streamed = Body::new(StreamBody::new(futures_util::stream::iter(parts)));
        let error = read_limited(streamed, 10, "a policy").await.expect_err("too large");
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read_limited(Body::from(vec![0; 10]), 10, "x").await.unwrap().len(), 10);
        let parts = ["", "ab", "", "c", "def"]
            .map(|text| Ok::<_, io::Error>(Frame::data(Bytes::from_static(text.as_bytes()))));
        let streamed = Body::new(StreamBody::new(futures_util::stream::iter(parts)));
        assert_eq!(read_limited(streamed, 6, "x").await.unwrap(), "abcdef");
        assert_eq!(read_limited(Body::empty(), 10, "x").await.unwrap().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_share_a_room_and_small_ones_always_find_some() {
        let room = Room::of(1024 * 1024, 1024 * 1024);
        let read = |kibibytes: usize| {
            let parts = (0..kibibytes)
                .map(|_| Ok::<_, io::Error>(Frame::data(Bytes::from_static(&[7; 1024]))));
            let body = Body::new(StreamBody::new(futures_util::stream::iter(parts)));
            read_into(&room, body, 4 * 1024 * 1024, "a manifest")
        };
        let first = read(1000).await.unwrap();
        assert_eq!(first.len(), 1000 * 1024);
        let told = read(300).await.expect_err("no room");
        assert_eq!(told.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(read(64).await.unwrap().len(), 64 * 1024);
        // A part of it holds all of it.
        let part = first.slice(..10);
        drop(first);
        assert!(read(300).await.is_err());
        drop(part);
        assert_eq!(read(1000).await.unwrap().len(), 1000 * 1024);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_and_an_account_hold_their_share_of_the_room() {
        let room = Room::of(16 * 1024 * 1024, 1024 * 1024);
        let read = async |address: &str, user: Option<i64>, kibibytes: usize| {
            let body = Body::from(vec![7; kibibytes * 1024]);
            let work = async {
                if let Some(id) = user {
                    sender::is_of(Account::User(id));
                }
                read_into(&room, body, 4 * 1024 * 1024, "a manifest").await
            };
            sender::sent_from(Some(address.parse().unwrap()), work).await
        };
        let first = read("192.0.2.7", Some(1), 1000).await.unwrap();
        let told = read("192.0.2.7", Some(2), 300).await.expect_err("its share is taken");
        assert_eq!(told.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(told.message().contains("from this address"), "{told}");
        let told = read("192.0.2.8", Some(1), 300).await.expect_err("so is the account's");
        assert!(told.message().contains("of this account"), "{told}");
        // Who is refused keeps nothing, small bodies need none, and others have their own.
        assert_eq!(room.holders(), 2);
        assert_eq!(read("192.0.2.7", Some(1), 64).await.unwrap().len(), 64 * 1024);
        let _other = read("192.0.2.8", Some(2), 1000).await.unwrap();
        let _network = read("2001:db8::1", None, 1000).await.unwrap();
        assert!(read("2001:db8::2", None, 300).await.is_err(), "one network, one share");
        drop(first);
        assert_eq!(read("192.0.2.7", Some(1), 1000).await.unwrap().len(), 1000 * 1024);
        assert_eq!(room.holders(), 3, "nothing is kept of who is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_has_a_minute_for_all_of_it() {
        let parts = futures_util::stream::unfold(0, |number: u32| async move {
            // The first megabyte at once, then a little each second.
            let pause = if number < 1024 { Duration::ZERO } else { Duration::from_secs(1) };
            tokio::time::sleep(pause).await;
            Some((Ok::<_, io::Error>(Frame::data(Bytes::from_static(&[7; 1024]))), number + 1))
        });
        let begin = Instant::now();
        let body = Body::new(StreamBody::new(Box::pin(parts)));
        let error = read_limited(body, 4 * 1024 * 1024, "a manifest").await.expect_err("slow");
        assert_eq!(error.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(begin.elapsed().as_secs(), 60);
    }

    #[tokio::test]
    async fn what_nobody_needs_is_read_up_to_a_limit() {
        use std::sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        };
        for (limit, expected) in [(100, 10), (4, 5)] {
            let sent = Arc::new(AtomicUsize::new(0));
            let count = sent.clone();
            let parts = (0..10).map(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"x")))
            });
            let body = Body::new(StreamBody::new(futures_util::stream::iter(parts)));
            discard(body, limit).await;
            assert_eq!(sent.load(Ordering::Relaxed), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickling_sender_is_cut_off() {
        let trickle = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        let patience = Patience::new(Duration::from_secs(60), 2);
        let stream = StreamBody::new(Box::pin(trickle));
        let mut body = IdleLimited::new(stream, false, patience);
        let begin = Instant::now();
        let error = loop {
            if let Err(error) = body.frame().await.unwrap() {
                break error;
            }
        };
        assert_eq!(begin.elapsed(), crate::patience::RATE_WINDOW);
        assert!(error.to_string().ends_with("fewer than 2 a second"), "{error}");
        assert!(body.frame().await.is_none(), "who was cut off is not waited for again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pausing_sender_is_cut_off() {
        let stream = futures_util::stream::pending::<Result<Frame<Bytes>, io::Error>>();
        let mut body = IdleLimited::new(
            StreamBody::new(stream),
            true,
            Patience::new(Duration::from_secs(60), 0),
        );
        let begin = Instant::now();
        let error = body.frame().await.unwrap().expect_err("cut off");
        assert_eq!(error.to_string(), "no byte came for 60 seconds, or fewer than 0 a second");
        assert_eq!(begin.elapsed(), Duration::from_secs(60));
    }
}
