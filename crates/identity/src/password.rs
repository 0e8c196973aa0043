//! Passwords: Argon2id (RFC 9106), on threads of their own.
//!
//! A hash takes tens of milliseconds and tens of megabytes by design. So only a few are made at a time, on threads that stand
//! back behind those of requests, and only so many wait: a flood of sign-ins is refused instead of taking memory or processors from
//! others. Hashes that nobody waits for any more are skipped.

mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use mainstay_engine::error::{Error, FieldError, Key};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use self::threads::{Full, Place, Queue, Work};
use crate::meters;
use crate::options::PasswordOptions;

/// Bytes of a password at most: more would be work for nothing.
const BYTES_MAX: usize = 1024;

/// Makes and tests hashes.
pub(crate) struct Hasher {
    queue: Arc<Queue<Hashing>>,
    argon2: Arc<Argon2<'static>>,
    /// As many read what they need for a hash as hashes are made at a time.
    turns: Semaphore,
    /// Of no password that anybody has: tested where there is no account, so that it takes as long.
    decoy: String,
}

struct Hashing {
    argon2: Arc<Argon2<'static>>,
    password: Vec<u8>,
    /// None: make one.
    hash: Option<String>,
    /// None: it was answered.
    answer: Mutex<Option<Answer>>,
    asked: Instant,
    /// Nobody has begun with it.
    waits: AtomicBool,
}

impl Hashing {
    /// Whether it waited until now.
    fn waits_no_more(&self) -> bool {
        let waited = self.waits.swap(false, Ordering::AcqRel);
        if waited {
            meters::hash_waits_no_more();
        }
        waited
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.waits_no_more();
    }
}

type Answer = oneshot::Sender<Result<Hashed, argon2::password_hash::Error>>;

impl Work for Hashing {
    type Done = (Result<Hashed, argon2::password_hash::Error>, Duration);

    fn is_over(&self) -> bool {
        self.answer.lock().as_ref().is_none_or(Answer::is_closed)
    }

    fn begin(&self) {
        if self.waits_no_more() {
            meters::hash_begun(self.asked.elapsed());
        }
    }

    fn run(&self) -> Self::Done {
        let begun = Instant::now();
        let hashed = hashed(&self.argon2, &self.password, self.hash.as_deref());
        (hashed, begun.elapsed())
    }

    fn finish(&self, (hashed, took): Self::Done) {
        meters::hashed(took);
        if let Some(answer) = self.answer.lock().take() {
            // Whoever asked may have gone meanwhile.
            answer.send(hashed).ok();
        }
    }
}

/// What became of a password.
#[derive(Debug, PartialEq, Eq)]
enum Hashed {
    Made(String),
    /// It is the one; the hash should be made anew where its parameters are others than those that are set now.
    Right {
        is_old: bool,
    },
    Wrong,
}

/// What a test of a password says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tested {
    Right,
    /// Right, and its hash is weaker than what is set now.
    RightButOld,
    Wrong,
}

impl Hasher {
    pub(crate) fn start(options: &PasswordOptions) -> Result<Hasher, String> {
        let params = Params::new(options.memory_kib, options.passes, 1, None)
            .map_err(|error| format!("identity.password_memory and identity.password_passes: {error}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = decoy(argon2.params())?;
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, |count| (count.get() / 2).max(1)),
            threads => threads,
        };
        let queue = Queue::start(threads, options.waiting_max.max(1))?;
        Ok(Hasher { queue, argon2: Arc::new(argon2), turns: Semaphore::new(threads), decoy })
    }

    /// A place for a hash, to be asked for before anything is read for a request that would be refused without one: a flood is to cost
    /// others as little as can be.
    ///
    /// # Errors
    /// When too many wait.
    pub(crate) fn place(&self) -> Result<HashPlace<'_>, Error> {
        Ok(HashPlace { hasher: self, place: self.queue.place().map_err(crowded)? })
    }
}

/// A place in the queue for hashes: one hash is made or tested there.
pub(crate) struct HashPlace<'h> {
    hasher: &'h Hasher,
    place: Place<Hashing>,
}

impl HashPlace<'_> {
    /// Waits for the turn to read what a hash is needed for, which lasts as long as the answer is kept. Hashes take longer than that, so
    /// nobody waits for it in vain, and of a flood few are in the way of other requests at a time.
    ///
    /// # Errors
    /// None that is expected.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.hasher.turns.acquire().await.map_err(Error::internal)
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// When it took too long.
    pub(crate) async fn hash(self, password: &str, deadline: Instant) -> Result<String, Error> {
        match self.ask(password, None, deadline).await? {
            Hashed::Made(hash) => Ok(hash),
            _ => Err(Error::internal("a password that was to be hashed was tested")),
        }
    }

    /// Whether a password is the one of a hash; without a hash it is not, after the same time.
    ///
    /// # Errors
    /// When it took too long.
    pub(crate) async fn test(
        self,
        password: &str,
        hash: Option<&str>,
        deadline: Instant,
    ) -> Result<Tested, Error> {
        let decoy = &self.hasher.decoy;
        let tested = self.ask(password, Some(hash.unwrap_or(decoy)), deadline).await?;
        Ok(match (tested, hash) {
            (Hashed::Right { is_old: false }, Some(_)) => Tested::Right,
            (Hashed::Right { is_old: true }, Some(_)) => Tested::RightButOld,
            _ => Tested::Wrong,
        })
    }

    async fn ask(self, password: &str, hash: Option<&str>, deadline: Instant) -> Result<Hashed, Error> {
        let (answer, answered) = oneshot::channel();
        let mut password = password.as_bytes().to_vec();
        // One that is longer was never taken.
        password.truncate(BYTES_MAX + 1);
        meters::hash_waits();
        self.place.take(Arc::new(Hashing {
            argon2: self.hasher.argon2.clone(),
            password,
            hash: hash.map(str::to_owned),
            answer: Mutex::new(Some(answer)),
            asked: Instant::now(),
            waits: AtomicBool::new(true),
        }));
        let answered = tokio::time::timeout_at(deadline.into(), answered).await;
        let answered = answered.map_err(|_| Error::new(Key::Deadline, "Too many sign in at the moment."))?;
        let answered = answered.map_err(|_| Error::internal("a thread for passwords has ended"))?;
        answered.map_err(|error| Error::internal(format!("a password hash: {error}")))
    }
}

/// A hash that nobody has computed: testing a password against it takes as long as against any other.
fn decoy(params: &Params) -> Result<String, String> {
    let mut random = [0; 48];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| "the system has no randomness".to_owned())?;
    let (salt, output) = random.split_at(16);
    let hash = || {
        Ok::<_, argon2::password_hash::Error>(PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(output)?),
        })
    };
    hash().map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

fn crowded(_: Full) -> Error {
    meters::hash_refused();
    let words = "Too many sign in at the moment.";
    Error { retry_after_s: Some(2), ..Error::new(Key::Overloaded, words) }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn hashed(
    argon2: &Argon2<'_>,
    password: &[u8],
    hash: Option<&str>,
) -> Result<Hashed, argon2::password_hash::Error> {
    let Some(hash) = hash else { return Ok(Hashed::Made(argon2.hash_password(password)?.to_string())) };
    let hash = PasswordHash::new(hash)?;
    match argon2.verify_password(password, &hash) {
        Ok(()) => {
            let known = Params::try_from(&hash).ok();
            let own = argon2.params();
            let is_own = known.is_some_and(|known| {
                (known.m_cost(), known.t_cost(), known.p_cost()) == (own.m_cost(), own.t_cost(), own.p_cost())
            });
            Ok(Hashed::Right { is_old: !is_own })
        }
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Hashed::Wrong),
        Err(error) => Err(error),
    }
}

/// Characters, of which spaces in a row count as one.
fn length(password: &str) -> usize {
    let spaces = password.as_bytes().windows(2).filter(|pair| pair == b"  ").count();
    password.chars().count() - spaces
}

/// Whether a password may be taken for somebody.
///
/// # Errors
/// Why not, at its place in the request.
pub(crate) fn password_check(
    options: &PasswordOptions,
    password: &str,
    about: &[&str],
    path: &str,
) -> Result<(), Error> {
    let refuse = |key: &str, message: String| {
        let field = FieldError { path: path.to_owned(), key: key.to_owned(), message: message.clone() };
        Err(Error { errors: vec![field], ..Error::new(Key::Invalid, message) })
    };
    if length(password) < options.length_min {
        return refuse("min", format!("a password has at least {} characters", options.length_min));
    }
    if password.len() > BYTES_MAX {
        return refuse("max", format!("a password has at most {BYTES_MAX} bytes"));
    }
    // Estimating gets slow for what is long, and whatever is that long is not guessed.
    let start: String = password.chars().take(72).collect();
    let strength = zxcvbn::zxcvbn(&start, about);
    if u8::from(strength.score()) < 2 {
        let why = strength.feedback().and_then(|feedback| feedback.warning()).map(|words| words.to_string());
        let why = why.unwrap_or_else(|| "This is easy to guess.".to_owned());
        return refuse("common", why);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use argon2::password_hash::phc::PasswordHash;
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

    use super::{Hasher, Tested, password_check};
    use crate::options::PasswordOptions;

    fn weak() -> PasswordOptions {
        PasswordOptions { memory_kib: 64, passes: 1, threads: 1, ..PasswordOptions::default() }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let hasher = Hasher::start(&weak()).unwrap();
        let hash = hasher.place().unwrap().hash("correct horse", soon()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert_eq!(
            hasher.place().unwrap().test("correct horse", Some(&hash), soon()).await.unwrap(),
            Tested::Right
        );
        assert_eq!(
            hasher.place().unwrap().test("correct horsf", Some(&hash), soon()).await.unwrap(),
            Tested::Wrong
        );
        assert_eq!(hasher.place().unwrap().test("correct horse", None, soon()).await.unwrap(), Tested::Wrong);
        let stronger = Hasher::start(&PasswordOptions { passes: 2, ..weak() }).unwrap();
        assert_eq!(
            stronger.place().unwrap().test("correct horse", Some(&hash), soon()).await.unwrap(),
            Tested::RightButOld
        );
    }

    #[test]
    fn what_is_tested_where_there_is_no_account_costs_what_a_hash_costs() {
        let hasher = Hasher::start(&weak()).unwrap();
        let decoy = PasswordHash::new(&hasher.decoy).unwrap();
        let made = hasher.argon2.hash_password(b"correct horse").unwrap();
        assert_eq!((decoy.algorithm, decoy.version), (made.algorithm, made.version));
        assert_eq!(decoy.params.to_string(), made.params.to_string());
        assert_eq!(decoy.to_string().len(), made.to_string().len());
        assert_eq!(
            hasher.argon2.verify_password(b"correct horse", &decoy),
            Err(argon2::password_hash::Error::PasswordInvalid)
        );
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        let check = |password: &str, expect: Option<&str>| {
            let result = password_check(
                &PasswordOptions::default(),
                password,
                &["ann@example.com", "Ann"],
                "/password",
            );
            let key = result.err().map(|error| error.errors[0].key.clone());
            assert_eq!(key.as_deref(), expect, "{password}");
        };
        check("short", Some("min"));
        check("eleven char", Some("min"));
        check("eleven    char", Some("min"));
        check("password1234", Some("common"));
        check("passwordpassword", Some("common"));
        check("ann@example.com", Some("common"));
        check("qwertyuiopas", Some("common"));
        check(&"x7".repeat(600), Some("max"));
        check("a boat that sings by night", None);
    }
}
