//! Attacks on log-in, tokens and robots, each a small change of something that works.
#![expect(clippy::unwrap_used, reason = "tests")]

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sealock_auth::*;
use sealock_facts::Tier;
use sealock_metadata::{
    both_engines, members,
    projects::{self, Project, Visible},
    robots,
    testing::TestDatabase,
    users,
};
use serde_json::{Value, json};
use std::{net::IpAddr, sync::Arc};

const SERVICE: &str = "sealock";
const PULLED: Permission = (Resource::Repository, Act::Pull);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn authenticator(t: &TestDatabase, key: &TokenKey) -> Authenticator {
    let random = Arc::new(SystemRandomness);
    let tokens = Tokens::new(SERVICE, key, &[], t.clock.clone(), random.clone());
    Authenticator::new(t.db.clone(), tokens, random).unwrap()
}

async fn project(t: &TestDatabase, name: &str, public: bool) -> Project {
    let mut tx = t.db.write().await.unwrap();
    let made = projects::create(&mut tx, name, public, Tier::Sandbox, None).await.unwrap();
    tx.commit().await.unwrap();
    made.unwrap()
}

async fn user(auth: &Authenticator, name: &str) -> users::User {
    let new = users::NewUser { name, ..users::NewUser::default() };
    auth.create_user(&new, &"correct horse".into()).await.unwrap().unwrap()
}

async fn join(t: &TestDatabase, project: &Project, user: &users::User, role: Role) {
    let mut tx = t.db.write().await.unwrap();
    members::put(&mut tx, project.id, user.id, role.id()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn robot(
    t: &TestDatabase,
    project: &Project,
    rights: &[Right],
    expires_at: Option<Timestamp>,
) -> NewRobot {
    let grant = Grant {
        place: Place::Project(project.id),
        limit: None,
        permissions: Permissions::of_rights(RightSet::of(rights)),
    };
    made(t, Some(project), "ci", &[grant], expires_at).await
}

/// A robot, and the secret that it was made with.
struct NewRobot {
    id: i64,
    login: String,
    secret: SecretString,
}

async fn made(
    t: &TestDatabase,
    project: Option<&Project>,
    name: &str,
    grants: &[Grant],
    expires_at: Option<Timestamp>,
) -> NewRobot {
    let (secret, stored) = RobotSecret::generate(&SystemRandomness).unwrap();
    let grants: Vec<_> = grants.iter().map(Grant::to_row).collect();
    let new = robots::NewRobot {
        project_id: project.map(|project| project.id),
        name,
        description: "",
        secret_hash: stored.as_bytes(),
        disabled: false,
        duration: -1,
        expires_at,
        created_by: "ann",
        creator: ("local", 1),
        grants: &grants,
    };
    let mut tx = t.db.write().await.unwrap();
    let id = robots::create(&mut tx, &new).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    let login = robot_login(project.map(|project| project.name.as_str()), name);
    NewRobot { id, login, secret }
}

async fn rights(t: &TestDatabase, principal: &Principal, project: &Project) -> RightSet {
    let mut tx = t.db.read().await.unwrap();
    rights_at(&mut tx, principal, project, Spot::Project).await.unwrap()
}

fn scope(text: &str) -> Vec<Scope> {
    Scope::parse_all([text])
}

/// Header and claims of a token.
fn open(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| B64.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

fn sign(key: &TokenKey, header: &Header, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_ec_der(key.pkcs8())).unwrap()
}

fn is_invalid(result: Result<(Principal, Arc<[Access]>), AuthError>) -> bool {
    matches!(result, Err(AuthError::Token(TokenError::Invalid)))
}

both_engines!(
    wrong_credentials_all_look_alike,
    tokens_that_are_not_ours,
    tokens_with_wrong_claims,
    tokens_outside_their_time,
    tokens_of_a_former_key_count_and_of_a_forgotten_one_do_not,
    a_token_ends_with_its_account_and_its_secret,
    a_robot_is_nobody_outside_its_project,
    a_robot_of_the_system_is_somebody_where_it_was_given_something,
    a_secret_that_somebody_chose_is_a_password,
    a_token_opens_only_what_it_names_and_nothing_in_a_namesake,
    roles_as_in_harbor,
    the_first_administrator_is_made_once,
    guessing_one_name_from_one_address_is_slowed_down_and_nobody_else,
);

async fn wrong_credentials_all_look_alike(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    let ann = user(&auth, "ann").await;
    let login = auth.login(HERE, "ann", &"correct horse".into()).await.unwrap();
    assert_eq!(login.principal.user_id(), Some(ann.id));
    let long = SecretString::new("x".repeat(1_000_000));
    for (name, secret) in [
        ("ann", "correct horsf".into()),
        ("ann", "".into()),
        ("Ann", "correct horse".into()),
        ("bob", "correct horse".into()),
        ("ann\0", "correct horse".into()),
        ("ann", long),
        ("robot$ann", "correct horse".into()),
        ("robot$a+b", "".into()),
        ("", "".into()),
    ] {
        let error = auth.login(HERE, name, &secret).await.unwrap_err();
        assert!(matches!(error, AuthError::BadCredentials), "{name}: {error}");
    }
    let mut tx = t.db.write().await.unwrap();
    users::set_flags(&mut tx, ann.id, false, false, true).await.unwrap();
    tx.commit().await.unwrap();
    let error = auth.login(HERE, "ann", &"correct horse".into()).await.unwrap_err();
    assert!(matches!(error, AuthError::BadCredentials), "a closed account");
}

async fn tokens_that_are_not_ours(t: &mut TestDatabase) {
    let key = TokenKey::generate().unwrap();
    let auth = authenticator(t, &key);
    user(&auth, "ann").await;
    let login = auth.login(HERE, "ann", &"correct horse".into()).await.unwrap();
    let issued = auth.issue(&login, &[]).await.unwrap();
    let token = issued.token.expose();
    assert_eq!(auth.bearer(token).await.unwrap().0, login.principal);
    let (header, claims) = open(token);
    assert_eq!(header["alg"], "ES256");
    let mut good = Header::new(Algorithm::ES256);
    good.kid = Some(key.id().to_owned());
    assert!(auth.bearer(&sign(&key, &good, &claims)).await.is_ok(), "what follows is this");

    // No algorithm, with and without the signature.
    let encode = |value: &Value| B64.encode(value.to_string());
    let (rest, signature) = token.rsplit_once('.').unwrap();
    for alg in ["none", "None", "HS256", "ES384"] {
        let header = json!({"alg": alg, "typ": "JWT", "kid": key.id()});
        for signature in ["", signature] {
            let forged = format!("{}.{}.{signature}", encode(&header), encode(&claims));
            assert!(is_invalid(auth.bearer(&forged).await), "{alg}");
        }
    }
    // The public key as an HMAC secret.
    let mut hmac = Header::new(Algorithm::HS256);
    hmac.kid = Some(key.id().to_owned());
    let forged = EncodingKey::from_secret(key.id().as_bytes());
    let forged = jsonwebtoken::encode(&hmac, &claims, &forged).unwrap();
    assert!(is_invalid(auth.bearer(&forged).await));
    // Another key under our key's id, and under its own.
    let other = TokenKey::generate().unwrap();
    assert!(is_invalid(auth.bearer(&sign(&other, &good, &claims)).await));
    let mut own = good.clone();
    own.kid = Some(other.id().to_owned());
    assert!(is_invalid(auth.bearer(&sign(&other, &own, &claims)).await));
    own.kid = None;
    assert!(is_invalid(auth.bearer(&sign(&key, &own, &claims)).await));
    // One bit of the signature, other claims under the signature.
    let mut bytes = B64.decode(signature).unwrap();
    bytes[0] ^= 1;
    assert!(is_invalid(auth.bearer(&format!("{rest}.{}", B64.encode(&bytes))).await));
    let mut more = claims.clone();
    more["access"] = json!([{"type": "repository", "name": "a/b", "actions": ["push"]}]);
    let forged = format!("{}.{}.{signature}", encode(&header), encode(&more));
    assert!(is_invalid(auth.bearer(&forged).await));
    for junk in ["", ".", "..", "a.b.c", &"x".repeat(1_000_000)] {
        assert!(is_invalid(auth.bearer(junk).await));
    }
}

async fn tokens_with_wrong_claims(t: &mut TestDatabase) {
    let key = TokenKey::generate().unwrap();
    let auth = authenticator(t, &key);
    let login = Login::ANONYMOUS;
    let token = auth.issue(&login, &[]).await.unwrap().token;
    let (_, claims) = open(token.expose());
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key.id().to_owned());
    assert!(auth.bearer(&sign(&key, &header, &claims)).await.is_ok());
    for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access", "holder"] {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(name);
        assert!(is_invalid(auth.bearer(&sign(&key, &header, &without)).await), "{name}");
    }
    for (name, value) in [
        ("iss", json!("other")),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("exp", json!("9")),
        ("holder", json!({"kind": "admin"})),
        ("access", json!("all")),
    ] {
        let mut wrong = claims.clone();
        wrong[name] = value;
        assert!(is_invalid(auth.bearer(&sign(&key, &header, &wrong)).await), "{name}");
    }
}

async fn tokens_outside_their_time(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    let token = auth.issue(&Login::ANONYMOUS, &[]).await.unwrap().token;
    t.clock.advance(TOKEN_LIFETIME - SignedDuration::from_secs(1));
    assert!(auth.bearer(token.expose()).await.is_ok());
    t.clock.advance(SignedDuration::from_secs(1));
    let late = auth.bearer(token.expose()).await;
    assert!(matches!(late, Err(AuthError::Token(TokenError::Expired))));
    // The clock jumps back.
    t.clock.advance(-TOKEN_LIFETIME - SignedDuration::from_secs(5));
    assert!(auth.bearer(token.expose()).await.is_ok(), "within the replicas' skew");
    t.clock.advance(-SignedDuration::from_secs(1));
    let early = auth.bearer(token.expose()).await;
    assert!(matches!(early, Err(AuthError::Token(TokenError::NotYet))));
}

async fn tokens_of_a_former_key_count_and_of_a_forgotten_one_do_not(t: &mut TestDatabase) {
    let (old, new) = (TokenKey::generate().unwrap(), TokenKey::generate().unwrap());
    let token = authenticator(t, &old).issue(&Login::ANONYMOUS, &[]).await.unwrap().token;
    let random = Arc::new(SystemRandomness);
    let again = TokenKey::from_pkcs8(old.pkcs8()).unwrap();
    assert_eq!(again.id(), old.id());
    let tokens = Tokens::new(SERVICE, &new, &[again], t.clock.clone(), random.clone());
    let rotated = Authenticator::new(t.db.clone(), tokens, random).unwrap();
    assert!(rotated.bearer(token.expose()).await.is_ok());
    assert!(is_invalid(authenticator(t, &new).bearer(token.expose()).await));
    assert!(TokenKey::from_pkcs8(&old.pkcs8()[1..]).is_err());
}

async fn a_token_ends_with_its_account_and_its_secret(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    let app = project(t, "app", false).await;
    let ann = user(&auth, "ann").await;
    let login = auth.login(HERE, "ann", &"correct horse".into()).await.unwrap();
    let first = auth.issue(&login, &[]).await.unwrap().token;
    let revoked = |result| matches!(result, Err(AuthError::Token(TokenError::Revoked)));
    for closed in [false, true, false] {
        let mut tx = t.db.write().await.unwrap();
        users::set_flags(&mut tx, ann.id, false, false, closed).await.unwrap();
        tx.commit().await.unwrap();
        // Twice: what is remembered is asked as well.
        for _ in 0..2 {
            assert_eq!(revoked(auth.bearer(first.expose()).await), closed);
            let login = auth.login(HERE, "ann", &"correct horse".into()).await;
            assert_eq!(login.is_err(), closed);
        }
    }
    let hash = auth.hash_new(&"battery staple".into()).await.unwrap();
    let mut tx = t.db.write().await.unwrap();
    users::set_password(&mut tx, ann.id, &hash).await.unwrap();
    tx.commit().await.unwrap();
    assert!(revoked(auth.bearer(first.expose()).await));
    assert!(auth.login(HERE, "ann", &"correct horse".into()).await.is_err(), "not from the cache");
    let login = auth.login(HERE, "ann", &"battery staple".into()).await.unwrap();
    let second = auth.issue(&login, &[]).await.unwrap().token;
    assert!(auth.bearer(second.expose()).await.is_ok());
    let mut tx = t.db.write().await.unwrap();
    users::delete(&mut tx, ann.id).await.unwrap();
    tx.commit().await.unwrap();
    user(&auth, "ann").await;
    assert!(revoked(auth.bearer(second.expose()).await), "the namesake is someone else");

    let ends = t.clock.as_ref();
    let ends = sealock_metadata::Clock::now(ends) + SignedDuration::from_hours(1);
    let ci = robot(t, &app, &[Right::Push], Some(ends)).await;
    let login = auth.login(HERE, &ci.login, &ci.secret).await.unwrap();
    let token = auth.issue(&login, &[]).await.unwrap().token;
    assert!(auth.bearer(token.expose()).await.is_ok());
    for closed in [true, false] {
        let mut tx = t.db.write().await.unwrap();
        let row = robots::get(&mut tx, ci.id).await.unwrap().unwrap();
        let grants: Vec<_> = Grants::stored(&row.grants).iter().map(Grant::to_row).collect();
        let change = robots::Change {
            description: "",
            disabled: closed,
            duration: row.duration,
            expires_at: row.expires_at,
            grants: &grants,
        };
        assert!(robots::update(&mut tx, Some(app.id), ci.id, &change).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(revoked(auth.bearer(token.expose()).await), closed);
        assert_eq!(auth.login(HERE, &ci.login, &ci.secret).await.is_err(), closed);
    }
    let mut tx = t.db.write().await.unwrap();
    let (secret, stored) = RobotSecret::generate(&SystemRandomness).unwrap();
    let bytes = stored.as_bytes();
    assert!(!robots::set_secret(&mut tx, Some(app.id + 1), ci.id, bytes).await.unwrap());
    assert!(!robots::set_secret(&mut tx, None, ci.id, bytes).await.unwrap());
    assert!(robots::set_secret(&mut tx, Some(app.id), ci.id, bytes).await.unwrap());
    tx.commit().await.unwrap();
    assert!(revoked(auth.bearer(token.expose()).await));
    assert!(auth.login(HERE, &ci.login, &ci.secret).await.is_err());
    assert!(auth.login(HERE, &ci.login, &secret).await.is_ok());
    t.clock.set(ends - SignedDuration::from_secs(1));
    assert!(auth.login(HERE, &ci.login, &secret).await.is_ok());
    t.clock.set(ends);
    assert!(auth.login(HERE, &ci.login, &secret).await.is_err(), "expired");
}

async fn a_robot_is_nobody_outside_its_project(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    let (a, b) = (project(t, "a", false).await, project(t, "b", false).await);
    let open = project(t, "open", true).await;
    let ci = robot(t, &a, &[Right::Push], None).await;
    assert_eq!(ci.login, "robot$a+ci");
    let login = auth.login(HERE, &ci.login, &ci.secret).await.unwrap();
    let pull = RightSet::of(&[Right::Pull]);
    assert_eq!(rights(t, &login.principal, &a).await, RightSet::of(&[Right::Push, Right::Pull]));
    assert_eq!(rights(t, &login.principal, &b).await, RightSet::NONE);
    assert_eq!(rights(t, &login.principal, &open).await, pull);
    assert!(auth.login(HERE, "robot$b+ci", &ci.secret).await.is_err());
    let asked =
        scope("repository:a/x:pull,push,delete repository:b/x:pull,push repository:no/x:pull");
    let issued = auth.issue(&login, &asked).await.unwrap();
    // What is closed and what is not there were asked for, and look the same.
    let given: Vec<_> =
        issued.access.iter().map(|a| (a.name.as_str(), a.actions.join(","))).collect();
    let nothing = String::new();
    assert_eq!(given, [("a/x", "pull,push".into()), ("b/x", nothing.clone()), ("no/x", nothing)]);
    assert!(issued.access[1..].iter().all(|access| access.project_id.is_none()));
    let mut tx = t.db.read().await.unwrap();
    let visible = visible(&mut tx, &login.principal, PULLED).await.unwrap();
    assert!(visible.contains(a.id) && visible.contains(open.id) && !visible.contains(b.id));
    drop(tx);
    // Whatever stands in the database, a robot of a project has nothing elsewhere.
    let words = ["repository:push", "robot:create", "user:create"];
    let everything = |place| Grant {
        place,
        limit: None,
        permissions: Permissions::from_words(words.iter().copied()),
    };
    let places = [Place::EveryProject, Place::System, Place::Project(b.id)];
    let odd = made(t, Some(&a), "odd", &places.map(everything), None).await;
    let login = auth.login(HERE, &odd.login, &odd.secret).await.unwrap();
    for project in [&a, &b] {
        assert_eq!(rights(t, &login.principal, project).await, RightSet::NONE);
    }
    assert!(!login.principal.may_in_system(Resource::User, Act::Create));
}

async fn a_robot_of_the_system_is_somebody_where_it_was_given_something(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    let (a, b) = (project(t, "a", false).await, project(t, "b", false).await);
    let grant = |place, limit: &str, words: &[&str]| Grant {
        place,
        limit: (!limit.is_empty()).then(|| Limit::parse(limit).unwrap()),
        permissions: Permissions::from_words(words.iter().copied()),
    };
    let grants = [
        grant(Place::Project(a.id), "", &["repository:pull"]),
        grant(Place::Project(b.id), "app-*", &["repository:push"]),
        grant(Place::System, "", &["user:list"]),
    ];
    let ci = made(t, None, "ci", &grants, None).await;
    assert_eq!(ci.login, "robot$ci");
    let login = auth.login(HERE, &ci.login, &ci.secret).await.unwrap();
    assert!(login.principal.may_in_system(Resource::User, Act::List));
    assert!(!login.principal.may_in_system(Resource::User, Act::Create));
    let asked =
        scope("repository:a/x:pull,push repository:b/app-1:pull,push repository:b/other:pull,push");
    let issued = auth.issue(&login, &asked).await.unwrap();
    let given: Vec<_> = issued.access.iter().map(|a| a.actions.join(",")).collect();
    assert_eq!(given, ["pull", "pull,push", ""]);
    let everywhere = [grant(Place::EveryProject, "", &["repository:pull"])];
    let all = made(t, None, "all", &everywhere, None).await;
    let all = auth.login(HERE, &all.login, &all.secret).await.unwrap().principal;
    let later = project(t, "later", false).await;
    assert_eq!(rights(t, &all, &later).await, RightSet::of(&[Right::Pull]));
    // A grant ends with its project, and the namesake is another one.
    let mut tx = t.db.write().await.unwrap();
    assert!(projects::delete(&mut tx, a.id).await.unwrap());
    tx.commit().await.unwrap();
    let namesake = project(t, "a", false).await;
    let (principal, access) = auth.bearer(issued.token.expose()).await.unwrap();
    assert_eq!(rights(t, &principal, &namesake).await, RightSet::NONE);
    assert!(access.iter().all(|access| !access.covers(namesake.id, "a/x")));
}

async fn a_secret_that_somebody_chose_is_a_password(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    let app = project(t, "app", false).await;
    let ci = robot(t, &app, &[Right::Pull], None).await;
    for bad in ["Short1", "nouppercase1", "NOLOWERCASE1", "NoNumbersAtAll", &"aB1".repeat(50)] {
        assert!(auth.hash_robot_secret(&bad.into()).await.is_err(), "{bad}");
    }
    let chosen: SecretString = "Chosen-secret-1".into();
    let stored = auth.hash_robot_secret(&chosen).await.unwrap();
    assert!(stored.as_bytes().starts_with(b"$argon2id$"));
    let login = auth.login(HERE, &ci.login, &ci.secret).await.unwrap();
    let token = auth.issue(&login, &[]).await.unwrap().token;
    let mut tx = t.db.write().await.unwrap();
    robots::set_secret(&mut tx, Some(app.id), ci.id, stored.as_bytes()).await.unwrap();
    tx.commit().await.unwrap();
    let revoked = auth.bearer(token.expose()).await;
    assert!(matches!(revoked, Err(AuthError::Token(TokenError::Revoked))));
    assert!(auth.login(HERE, &ci.login, &ci.secret).await.is_err());
    let login = auth.login(HERE, &ci.login, &chosen).await.unwrap();
    let token = auth.issue(&login, &[]).await.unwrap().token;
    assert!(auth.bearer(token.expose()).await.is_ok());
    // It can be guessed, so guesses are counted.
    let guess = SecretString::new("x".repeat(1_000));
    let mut told = false;
    for _ in 0..150 {
        let error = auth.login([192, 0, 2, 9].into(), &ci.login, &guess).await.unwrap_err();
        told = told || matches!(error, AuthError::TooManyAttempts { .. });
    }
    assert!(told, "nobody tries 150 secrets in a moment");
    auth.login(HERE, &ci.login, &chosen).await.unwrap();
}

async fn a_token_opens_only_what_it_names_and_nothing_in_a_namesake(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    let app = project(t, "app", false).await;
    let ann = user(&auth, "ann").await;
    join(t, &app, &ann, Role::Maintainer).await;
    let login = auth.login(HERE, "ann", &"correct horse".into()).await.unwrap();
    let issued = auth.issue(&login, &scope("repository:app/x:pull,push")).await.unwrap();
    let (principal, access) = auth.bearer(issued.token.expose()).await.unwrap();
    let mut caller = Caller {
        principal,
        address: [127, 0, 0, 1].into(),
        user_agent: String::new(),
        request_id: String::new(),
        scope: Some(access),
    };
    let all = rights(t, &caller.principal, &app).await;
    let left = caller.within_scope(all, app.id, "app/x");
    assert!(left.contains(Right::Push) && left.contains(Right::Attest));
    assert!(!left.contains(Right::Delete), "it was not asked for");
    assert!(!left.contains(Right::Promote));
    assert!(caller.within_scope(all, app.id, "app/y").is_empty());
    let mut tx = t.db.write().await.unwrap();
    assert!(projects::delete(&mut tx, app.id).await.unwrap());
    tx.commit().await.unwrap();
    let namesake = project(t, "app", false).await;
    assert_ne!(namesake.id, app.id);
    join(t, &namesake, &ann, Role::Maintainer).await;
    let all = rights(t, &caller.principal, &namesake).await;
    assert!(caller.within_scope(all, namesake.id, "app/x").is_empty());
    caller.scope = None;
    assert_eq!(caller.within_scope(all, namesake.id, "app/x"), all);
    // Rights are those of now: who left has a token for nothing.
    let issued = auth.issue(&login, &scope("repository:app/x:push")).await.unwrap();
    let mut tx = t.db.write().await.unwrap();
    members::remove(&mut tx, namesake.id, ann.id).await.unwrap();
    tx.commit().await.unwrap();
    let (principal, access) = auth.bearer(issued.token.expose()).await.unwrap();
    caller.scope = Some(access);
    let all = rights(t, &principal, &namesake).await;
    assert!(caller.within_scope(all, namesake.id, "app/x").is_empty());
}

async fn roles_as_in_harbor(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    let (private, public) = (project(t, "private", false).await, project(t, "public", true).await);
    let ann = user(&auth, "ann").await;
    let principal = auth.login(HERE, "ann", &"correct horse".into()).await.unwrap().principal;
    assert_eq!(rights(t, &principal, &private).await, RightSet::NONE);
    assert_eq!(rights(t, &principal, &public).await, RightSet::of(&[Right::Pull]));
    assert_eq!(rights(t, &Principal::Anonymous, &private).await, RightSet::NONE);
    assert_eq!(rights(t, &Principal::Anonymous, &public).await, RightSet::of(&[Right::Pull]));
    let words = "role pull push delete manage-project\n\
                 1 + + + +\n4 + + + -\n2 + + - -\n3 + - - -\n5 + - - -\n";
    for line in words.lines().skip(1) {
        let mut cells = line.split(' ');
        let role = Role::from_id(cells.next().unwrap().parse().unwrap()).unwrap();
        join(t, &private, &ann, role).await;
        let got = rights(t, &principal, &private).await;
        for right in [Right::Pull, Right::Push, Right::Delete, Right::ManageProject] {
            assert_eq!(got.contains(right), cells.next() == Some("+"), "{role} {right}");
        }
        assert!(!got.contains(Right::Examine));
    }
    assert_eq!(Role::from_id(0), None);
    let mut tx = t.db.write().await.unwrap();
    users::set_flags(&mut tx, ann.id, true, false, false).await.unwrap();
    tx.commit().await.unwrap();
    let principal = auth.login(HERE, "ann", &"correct horse".into()).await.unwrap().principal;
    assert!(principal.is_sysadmin() && !principal.is_security_officer());
    let got = rights(t, &principal, &private).await;
    assert!(got.contains(Right::ManageProject) && !got.contains(Right::Examine));
    let mut tx = t.db.read().await.unwrap();
    assert_eq!(visible(&mut tx, &principal, PULLED).await.unwrap(), Visible::All);
    let nobody = visible(&mut tx, &Principal::Anonymous, PULLED).await.unwrap();
    assert_eq!(nobody, Visible::Only(vec![public.id]));
}

async fn the_first_administrator_is_made_once(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    let weak = auth.bootstrap(Some("short".into())).await;
    assert!(matches!(weak, Err(AuthError::Password(_))));
    let password = auth.bootstrap(None).await.unwrap().unwrap();
    assert!(password.expose().len() >= 24);
    let login = auth.login(HERE, FIRST_ADMIN, &password).await.unwrap();
    assert!(login.principal.is_sysadmin() && login.principal.is_security_officer());
    assert!(auth.bootstrap(Some("correct horse".into())).await.unwrap().is_none());
    assert!(auth.login(HERE, FIRST_ADMIN, &"correct horse".into()).await.is_err());
}

async fn guessing_one_name_from_one_address_is_slowed_down_and_nobody_else(t: &mut TestDatabase) {
    let auth = authenticator(t, &TokenKey::generate().unwrap());
    user(&auth, "ann").await;
    user(&auth, "bob").await;
    let elsewhere = IpAddr::from([192, 0, 2, 7]);
    // Shown a moment ago: the guesser beside her does not keep her out.
    auth.login(elsewhere, "ann", &"correct horse".into()).await.unwrap();
    let mut told = None;
    // Longer than any password, so that a guess costs no hash.
    let secret = SecretString::new("x".repeat(1_000));
    for guess in 0..150 {
        match auth.login(HERE, "ann", &secret).await.unwrap_err() {
            AuthError::TooManyAttempts { seconds } => {
                told = Some((guess, seconds));
                break;
            }
            other => assert!(matches!(other, AuthError::BadCredentials), "{other}"),
        }
    }
    let (guess, seconds) = told.unwrap();
    assert!((100..120).contains(&guess) && (1..=31).contains(&seconds), "{guess} {seconds}");
    auth.login(HERE, "ann", &"correct horse".into()).await.unwrap();
    let wrong = "wrong horse".into();
    for (address, name) in [(elsewhere, "ann"), (HERE, "bob"), (HERE, "nobody")] {
        let error = auth.login(address, name, &wrong).await.unwrap_err();
        assert!(matches!(error, AuthError::BadCredentials), "{name}: {error}");
    }
}
