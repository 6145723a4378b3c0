//! The published example, the vector of the specification, and ethers' own hashing where it is right.

use ethers::types::transaction::eip712::{Eip712, TypedData as EthersTypedData};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn digest(document: &Value) -> Result<Hash, TypedDataError> {
    TypedData::parse(document.to_string().as_bytes()).map(|data| data.digest())
}

/// One member of type `kind` with `value`.
fn single(kind: &str, value: Value) -> Value {
    json!({
        "types": {
            "EIP712Domain": [{"name": "name", "type": "string"}],
            "Item": [{"name": "of", "type": "uint8"}],
            "Box": [{"name": "content", "type": kind}],
        },
        "primaryType": "Box",
        "domain": {"name": "test"},
        "message": {"content": value},
    })
}

pub(crate) const VOTE: &str = r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"}],"Vote":[{"name":"poll","type":"address"},{"name":"choice","type":"uint256"}]},"primaryType":"Vote","domain":{"name":"Orchestrion","version":"1","chainId":42161},"message":{"poll":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","choice":1}}"#;

#[test]
fn vote_of_the_specification_has_its_three_hashes() {
    let data = TypedData::parse(VOTE.as_bytes()).unwrap();
    assert_eq!(
        hex::encode(data.domain),
        "8e9114aecf7e54097456b14dec5d3d4644abeea71f415475b474abc89cee4fe8"
    );
    assert_eq!(
        hex::encode(data.message),
        "f8e52725c3f3b649c5dfc36eaf81b5e413f1e705e02abedef46265be667ab11c"
    );
    assert_eq!(
        hex::encode(data.digest()),
        "1207981e8fd05a3999e13ff0f4ebd5246c758b49ecd9cab2ee2a28b259a20d13"
    );
}

#[test]
fn chain_id_may_be_a_text() {
    let texts = [r#""chainId":"42161""#, r#""chainId":"0xa4b1""#];
    let plain = TypedData::parse(VOTE.as_bytes()).unwrap();
    for text in texts {
        let document = VOTE.replace(r#""chainId":42161"#, text);
        assert_eq!(TypedData::parse(document.as_bytes()).unwrap(), plain);
    }
}

#[test]
fn mail_of_the_standard_has_its_published_digest() {
    let person = json!([{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}]);
    let mail = json!({
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"}, {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"},
            ],
            "Person": person,
            "Mail": [
                {"name": "from", "type": "Person"}, {"name": "to", "type": "Person"},
                {"name": "contents", "type": "string"},
            ],
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail", "version": "1", "chainId": 1,
            "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
        },
        "message": {
            "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
            "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
            "contents": "Hello, Bob!",
        },
    });
    assert_eq!(
        hex::encode(digest(&mail).unwrap()),
        "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    );
}

#[test]
fn values_that_do_not_fit_their_type_are_refused() {
    let cases = [
        ("uint8", json!(256)),
        ("uint8", json!(-1)),
        ("uint8", json!(1.5)),
        ("uint8", json!("0x")),
        ("uint8", json!("")),
        ("int8", json!(128)),
        ("int8", json!(-129)),
        ("int256", json!(format!("-{}", U256::MAX))),
        ("bytes4", json!("0x123456")),
        ("bytes4", json!("12345678")),
        ("address", json!("0x1234")),
        ("address", json!(7)),
        ("bool", json!("true")),
        ("string", json!(7)),
        ("uint8[2]", json!([1])),
        ("uint8[]", json!([1, 300])),
        ("uint8[]", json!(1)),
        ("Item", json!(1)),
    ];
    for (kind, value) in cases {
        let error = digest(&single(kind, value.clone())).unwrap_err();
        assert!(
            matches!(error, TypedDataError::Value { .. }),
            "{kind} {value}: {error}"
        );
    }
}

#[test]
fn values_at_the_edge_of_their_type_are_taken() {
    let cases = [
        ("uint8", json!(255)),
        ("int8", json!(127)),
        ("int8", json!(-128)),
        (
            "int256",
            json!("-57896044618658097711785492504343953926634992332820282019728792003956564819968"),
        ),
        ("uint256", json!(U256::MAX.to_string())),
        ("uint8[2][]", json!([[1, 2], [3, 4]])),
        ("uint8[]", json!([])),
        ("Item[]", json!([{"of": 1}, {"of": 2}])),
        ("bytes", json!("0x")),
    ];
    for (kind, value) in cases {
        assert!(
            digest(&single(kind, value.clone())).is_ok(),
            "{kind} {value}"
        );
    }
}

#[test]
fn negative_numbers_are_in_twos_complement() {
    let Some(Some(word)) = basic("int16", &json!(-2)) else {
        panic!("no word");
    };
    assert_eq!(word[..31], [0xff; 31]);
    assert_eq!(word[31], 0xfe);
}

#[test]
fn short_bytes_are_padded_behind() {
    let Some(Some(word)) = basic("bytes4", &json!("0x01020304")) else {
        panic!("no word");
    };
    assert_eq!(word[..5], [1, 2, 3, 4, 0]);
    assert_eq!(word[5..], [0; 27]);
}

#[test]
fn missing_unknown_and_surplus_members_are_refused() {
    let mut document = single("uint8", json!(1));
    document["message"] = json!({});
    assert!(matches!(
        digest(&document),
        Err(TypedDataError::Missing(name)) if name == "Box.content"
    ));
    document["message"] = json!({"content": 1, "more": 2});
    assert!(matches!(
        digest(&document),
        Err(TypedDataError::Unexpected(name)) if name == "Box.more"
    ));
    for kind in [
        "uint7", "uint264", "bytes33", "bytes0", "float", "Nobody", "Nobody[]",
    ] {
        assert!(
            matches!(
                digest(&single(kind, json!([1]))),
                Err(TypedDataError::UnknownType(_))
            ),
            "{kind}"
        );
    }
    document["types"]["EIP712Domain"] = Value::Null;
    assert!(matches!(digest(&document), Err(TypedDataError::Json(_))));
}

#[test]
fn nesting_without_end_is_refused() {
    let mut value = json!({"next": []});
    for _ in 0..40 {
        value = json!({"next": [value]});
    }
    let document = json!({
        "types": {
            "EIP712Domain": [],
            "Node": [{"name": "next", "type": "Node[]"}],
        },
        "primaryType": "Node", "domain": {}, "message": value,
    });
    assert!(matches!(digest(&document), Err(TypedDataError::TooLarge)));
}

proptest! {
    /// An independent implementation agrees on the types it gets right: it pads short `bytesN` on the wrong side and
    /// knows no negative numbers.
    #[test]
    fn digests_agree_with_ethers(
        name in "[a-z ]{0,12}", chain: u32, number: u64, flag: bool, account: [u8; 20], blob: Vec<u8>,
        fixed: [u8; 32], numbers in prop::collection::vec(any::<u32>(), 0..5),
    ) {
        let document = json!({
            "types": {
                "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
                "Inner": [{"name": "account", "type": "address"}, {"name": "fixed", "type": "bytes32"}],
                "Outer": [
                    {"name": "text", "type": "string"}, {"name": "number", "type": "uint64"},
                    {"name": "flag", "type": "bool"}, {"name": "inner", "type": "Inner"},
                    {"name": "blob", "type": "bytes"}, {"name": "numbers", "type": "uint256[]"},
                ],
            },
            "primaryType": "Outer",
            "domain": {"name": name, "chainId": chain},
            "message": {
                "text": name, "number": number, "flag": flag, "blob": format!("0x{}", hex::encode(blob)),
                "inner": {
                    "account": format!("0x{}", hex::encode(account)),
                    "fixed": format!("0x{}", hex::encode(fixed)),
                },
                "numbers": numbers,
            },
        });
        let theirs: EthersTypedData = serde_json::from_value(document.clone()).unwrap();
        prop_assert_eq!(digest(&document).unwrap(), theirs.encode_eip712().unwrap());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = TypedData::parse(&bytes);
    }

    #[test]
    fn any_value_fits_or_is_refused(kind in "(u?int|bytes|address|bool)[0-9]{0,3}(\\[[0-9]?\\])?", text in ".{0,70}", number: i64) {
        let _ = digest(&single(&kind, json!(text)));
        let _ = digest(&single(&kind, json!(number)));
        let _ = digest(&single(&kind, json!([number])));
    }
}
