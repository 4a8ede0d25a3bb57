//! Rows and values that somebody changed, swapped or restored: found out, and nothing of them served.

use sqlx::Row as _;

use super::*;

/// Numbers without chance.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % limit
    }
}

/// Three versions, the last of which is the state.
async fn three(scene: &Scene) -> String {
    let token = scene.apply(1).await;
    scene.ask("LOCK", Some(&token), "", info("A", "")).await;
    for (serial, what) in [(1, "first"), (2, "second"), (3, "third")] {
        assert_eq!(scene.ask("POST", Some(&token), "?ID=A", state(serial, what)).await.status, 200);
    }
    token
}

async fn change(conn: &mut sqlx::AnyConnection, text: String) -> u64 {
    sqlx::query(sqlx::AssertSqlSafe(text)).execute(conn).await.expect("changed").rows_affected()
}

/// A changed row, and how it was: a statement each.
struct Change {
    there: String,
    back: String,
}

/// A random change of one stored value.
async fn pick(conn: &mut sqlx::AnyConnection, dice: &mut Dice) -> Change {
    const TEXTS: [(&str, &str, &str); 9] = [
        ("state_versions", "id", "lineage"),
        ("state_versions", "id", "digest"),
        ("state_versions", "id", "previous"),
        ("state_versions", "id", "binding"),
        ("state_versions", "id", "kind"),
        ("state_stacks", "stack", "head"),
        ("blobs", "key", "generation"),
        ("blobs", "key", "key"),
        ("blob_chunks", "key", "generation"),
    ];
    const NUMBERS: [(&str, &str, &str); 4] = [
        ("state_versions", "id", "serial"),
        ("state_versions", "id", "number"),
        ("blobs", "key", "length"),
        ("blob_chunks", "key", "seq"),
    ];
    match dice.below(3) {
        0 => {
            let rows = sqlx::query("select key, sealed from blob_chunks order by key").fetch_all(conn).await;
            let rows = rows.expect("rows");
            let row = &rows[dice.below(rows.len())];
            let (key, old): (String, Vec<u8>) = (row.get("key"), row.get("sealed"));
            let mut new = old.clone();
            match dice.below(3) {
                0 => new[dice.below(old.len())] ^= 1 << dice.below(8),
                1 => new.truncate(dice.below(old.len())),
                _ => new = rows[dice.below(rows.len())].get("sealed"),
            }
            let set = |value: &[u8]| format!("update blob_chunks set sealed=x'{}' where key='{key}'", hex(value));
            Change { there: set(&new), back: set(&old) }
        }
        1 => {
            let (table, key, column) = TEXTS[dice.below(TEXTS.len())];
            let query = format!("select {key} as k, {column} as v from {table} order by {key}");
            let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(conn).await.expect("rows");
            let row = &rows[dice.below(rows.len())];
            let (k, old): (String, String) = (row.get("k"), row.get("v"));
            let other: String = rows[dice.below(rows.len())].get("v");
            let new = match (column, dice.below(2)) {
                ("kind", _) => "orphan".to_owned(),
                (_, 0) => format!("{old}x"),
                _ => other,
            };
            let to = if column == key { new.clone() } else { k.clone() };
            let set = |k: &str, v: &str| format!("update or ignore {table} set {column}='{v}' where {key}='{k}'");
            Change { there: set(&k, &new), back: set(&to, &old) }
        }
        _ => {
            let (table, key, column) = NUMBERS[dice.below(NUMBERS.len())];
            let query = format!("select {key} as k, {column} as v from {table} order by {key}");
            let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(conn).await.expect("rows");
            let row = &rows[dice.below(rows.len())];
            let (k, old): (String, i64) = (row.get("k"), row.get("v"));
            let set = |v: i64| format!("update or ignore {table} set {column}={v} where {key}='{k}'");
            let by = i64::try_from(1 + dice.below(9)).expect("small");
            Change { there: set(old + by), back: set(old) }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn whatever_is_changed_nothing_but_the_state_is_served() {
    let rounds = std::env::var("BUILDIT_TAMPER").ok().and_then(|it| it.parse().ok()).unwrap_or(300);
    let scene = Scene::start(&Database::Sqlite).await;
    let token = three(&scene).await;
    let mut conn = connect(&scene.database).await;
    let mut dice = Dice::new(7);
    let mut noticed = 0;
    for round in 0..rounds {
        let it = pick(&mut conn, &mut dice).await;
        if change(&mut conn, it.there.clone()).await == 0 {
            continue;
        }
        let read = scene.ask("GET", Some(&token), "", "").await;
        match read.status {
            200 => assert_eq!(read.body, state(3, "third"), "round {round}: {}", it.there),
            status => {
                assert_eq!(status, 500, "round {round}: {}", it.there);
                noticed += 1;
            }
        }
        // Whatever number a version has by now: what is read of it is of a state that was written.
        for number in 1..=3 {
            if let Ok((version, bytes)) = scene.states.read_version(REPO, &net(), number).await {
                let what = ["first", "second", "third"][usize::try_from(version.serial - 1).expect("1 to 3")];
                assert_eq!(bytes, state(version.serial, what).as_bytes(), "round {round}: {}", it.there);
            }
        }
        change(&mut conn, it.back).await;
        let read = scene.ask("GET", Some(&token), "", "").await;
        assert_eq!((read.status, read.body), (200, state(3, "third")), "round {round} was taken back");
    }
    assert!(noticed > rounds / 3, "{noticed} of {rounds}");
    scene.end().await;
}

#[tokio::test]
async fn restored_rows_and_values_are_noticed() {
    let restored = [
        // The stack's row of before, with and without the newer version.
        "update state_stacks set head=(select id from state_versions where number=2), last_number=2",
        "delete from state_versions where number=3",
        // The content of the second under the key of the third.
        "update blob_chunks set sealed=(select sealed from blob_chunks c join state_versions v on c.key like '%'||v.binding where v.number=2), generation=(select generation from blobs c join state_versions v on c.key like '%'||v.binding where v.number=2) where key=(select 'state/'||id||'/'||binding from state_versions where number=3)",
        // The whole row of the second as the third.
        "update state_versions set (lineage, serial, digest, previous, binding)=(select lineage, serial, digest, previous, binding from state_versions where number=2) where number=3",
    ];
    for text in restored {
        let scene = Scene::start(&Database::Sqlite).await;
        let token = three(&scene).await;
        let mut conn = begin(&scene.database).await;
        assert!(change(&mut conn, text.to_owned()).await > 0, "{text}");
        end(conn).await;
        assert_eq!(scene.ask("GET", Some(&token), "", "").await.status, 500, "{text}");
        let write = scene.ask("POST", Some(&token), "?ID=A", state(9, "over it")).await;
        let read = scene.ask("GET", Some(&token), "", "").await;
        assert!(write.status == 500 || read.status == 200 && read.body == state(9, "over it"), "{text}: {write:?}");
        scene.end().await;
    }
}

#[tokio::test]
async fn with_another_key_nothing_is_served() {
    let scene = Scene::start(&Database::Sqlite).await;
    three(&scene).await;
    let (database, dir) = (scene.database.clone(), tempfile::tempdir().expect("a directory"));
    // Another key of the same name.
    let (states, store) = inside(&database, dir.path()).await;
    let read = states.current(REPO, &net()).await.expect_err("not readable").to_string();
    assert!(read.contains("damaged"), "{read}");
    store.close().await;
    assert!(scene.dir.path().join("keys").exists());
    scene.end().await;
}
