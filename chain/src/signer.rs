//! The unlocked key: the only thing in the process that signs for its account.

use ethers::types::{
    Bytes, Eip1559TransactionRequest, NameOrAddress, Signature as EthSignature, TransactionRequest,
    U256, transaction::eip2718::TypedTransaction,
};
use protocol::{
    address::Address,
    signature::{self, SecretKey, Signature, keccak256},
};

use crate::{
    fees::Fees,
    typed_data::{TypedData, TypedDataError},
    types::Hash,
};

/// An unlocked account. Shows its address, never its key.
#[derive(Clone)]
pub struct Signer {
    key: SecretKey,
    address: Address,
}

/// A transaction to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// Chain it is for.
    pub chain_id: u64,
    /// Its place among the account's transactions.
    pub nonce: u64,
    /// Gas limit.
    pub gas: u64,
    /// Wei per gas.
    pub fees: Fees,
    /// Contract or account.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Call data.
    pub data: Vec<u8>,
}

/// A transaction ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its hash, by which receipts are found.
    pub hash: Hash,
    /// For `eth_sendRawTransaction`.
    pub raw: Vec<u8>,
}

impl Signer {
    /// Signs with `key`.
    pub fn new(key: SecretKey) -> Self {
        Self {
            address: key.address(),
            key,
        }
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Key for the signatures that the protocol itself defines (tickets, results, orchestrator info).
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// EIP-191 personal message: the text as it is, not its hash. 65 bytes with v 27 or 28.
    pub fn sign_text(&self, text: &[u8]) -> Signature {
        let mut message = format!("\x19Ethereum Signed Message:\n{}", text.len()).into_bytes();
        message.extend(text);
        signature::sign_digest(&self.key, &keccak256(message))
    }

    /// EIP-712 typed data in JSON. 65 bytes with v 27 or 28.
    pub fn sign_typed_data(&self, json: &[u8]) -> Result<Signature, TypedDataError> {
        let digest = TypedData::parse(json)?.digest();
        Ok(signature::sign_digest(&self.key, &digest))
    }

    /// Signs a transaction: type 2, or the old form with the chain id in v (EIP-155).
    pub fn sign_transaction(&self, transaction: &Unsigned) -> Signed {
        let unsigned = typed(transaction);
        let signed = signature::sign_digest(&self.key, &unsigned.sighash().0);
        let (r, rest) = signed.split_at(32);
        let (s, v) = rest.split_at(32);
        // 27 and 28 stand for the parity of y
        let parity = u64::from(v.first().is_some_and(|v| *v == 28));
        let v = match transaction.fees {
            Fees::Dynamic { .. } => parity,
            Fees::Legacy { .. } => transaction
                .chain_id
                .saturating_mul(2)
                .saturating_add(35 + parity),
        };
        let raw = unsigned
            .rlp_signed(&EthSignature {
                r: U256::from_big_endian(r),
                s: U256::from_big_endian(s),
                v,
            })
            .to_vec();
        Signed {
            hash: Hash(keccak256(&raw)),
            raw,
        }
    }
}

fn typed(transaction: &Unsigned) -> TypedTransaction {
    let to = NameOrAddress::Address(transaction.to.0.into());
    let data = Bytes::from(transaction.data.clone());
    match transaction.fees {
        Fees::Dynamic { max_fee, tip } => Eip1559TransactionRequest::new()
            .chain_id(transaction.chain_id)
            .nonce(transaction.nonce)
            .gas(transaction.gas)
            .max_fee_per_gas(max_fee)
            .max_priority_fee_per_gas(tip)
            .to(to)
            .value(transaction.value)
            .data(data)
            .into(),
        Fees::Legacy { gas_price } => TransactionRequest::new()
            .chain_id(transaction.chain_id)
            .nonce(transaction.nonce)
            .gas(transaction.gas)
            .gas_price(gas_price)
            .to(to)
            .value(transaction.value)
            .data(data)
            .into(),
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.address)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ethers::types::transaction::eip2718::TypedTransaction;

    use super::*;

    /// The public test key of the specification.
    pub(crate) fn signer() -> Signer {
        let mut key = [0; 32];
        hex::decode_to_slice(
            "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
            &mut key,
        )
        .unwrap();
        Signer::new(SecretKey::from_bytes(key).unwrap())
    }

    fn reward() -> Unsigned {
        Unsigned {
            chain_id: 42161,
            nonce: 7,
            gas: 600_000,
            fees: Fees::Dynamic {
                max_fee: 20_000_000,
                tip: 0,
            },
            to: "0x35Bcf3c30594191d53231E4FF333E8A770453e40".parse().unwrap(),
            value: 0.into(),
            data: hex::decode("818710560000000000000000000000003c44cdddb6a900fa2b585dd299e03d12fa4293bc0000000000000000000000000000000000000000000000000000000000000000").unwrap(),
        }
    }

    #[test]
    fn account_of_the_test_key_is_known_and_its_key_is_not_shown() {
        let signer = signer();
        assert_eq!(
            format!("{signer:?}"),
            "Signer(0x2c7536E3605D9C16a7a3D7b1898e529396a65c23)"
        );
    }

    #[test]
    fn text_is_signed_as_a_wallet_signs_it() {
        assert_eq!(
            hex::encode(signer().sign_text(b"hello")),
            "a5d58782075bdf09490159d634d1aae66a8f6777c7247d2f233e9511cfd7c64c34f288cdbcea5370e4863fdbe9f4d86654c2ba1d86589e9ebb64494c649008591b"
        );
    }

    #[test]
    fn typed_data_is_signed_as_a_wallet_signs_it() {
        let signature = signer()
            .sign_typed_data(crate::typed_data::tests::VOTE.as_bytes())
            .unwrap();
        assert_eq!(
            hex::encode(signature),
            "822ba0c2ac71b05ce3423a30d7ca257a058c2340f5fd931b364bcf58e7089efd54de20abb782d12b25a27595be5c7b7fb55c30b1d2be3ee7dd9f09eaca0768391b"
        );
    }

    #[test]
    fn reward_transaction_and_its_replacement_are_the_known_bytes() {
        let signed = signer().sign_transaction(&reward());
        assert_eq!(
            hex::encode(&signed.raw),
            "02f8ae82a4b107808401312d00830927c09435bcf3c30594191d53231e4ff333e8a770453e4080b844818710560000000000000000000000003c44cdddb6a900fa2b585dd299e03d12fa4293bc0000000000000000000000000000000000000000000000000000000000000000c001a0319c9b408f6e5cc26e5195c18648c9621158178f2cd935cc664bb00315a8e417a00f1707e97a81b6e58158206f46b228777fce33df3d3fdb0e522646b2d8889aac"
        );
        assert_eq!(
            signed.hash.to_string(),
            "0x9485d3d73e025c7bd4bdadc06d5f0513129e62f10d4f2cadf558dea482e7bed9"
        );
        let mut replacement = reward();
        replacement.fees = Fees::Dynamic {
            max_fee: 22_200_000,
            tip: 0,
        };
        let signed = signer().sign_transaction(&replacement);
        assert_eq!(
            hex::encode(&signed.raw),
            "02f8ae82a4b10780840152bec0830927c09435bcf3c30594191d53231e4ff333e8a770453e4080b844818710560000000000000000000000003c44cdddb6a900fa2b585dd299e03d12fa4293bc0000000000000000000000000000000000000000000000000000000000000000c001a09a025503e0b9c169af6028846eafa17209826ea26f5e4b395ca0cf65e898ba55a07e886c1d227646a68d91779f7c343ecb04c686dec68c9040f7864d21c849f102"
        );
        assert_eq!(
            signed.hash.to_string(),
            "0x3ac823a13134e60ce41b692f540df6635d21324e794787d0bbb282e1509a4dd3"
        );
    }

    #[test]
    fn legacy_transaction_carries_the_chain_id_and_recovers_to_its_sender() {
        let mut legacy = reward();
        legacy.fees = Fees::Legacy {
            gas_price: 1_000_000_000,
        };
        let signed = signer().sign_transaction(&legacy);
        let rlp = ethers::utils::rlp::Rlp::new(&signed.raw);
        let (decoded, signature) = TypedTransaction::decode_signed(&rlp).unwrap();
        assert_eq!(decoded.chain_id().unwrap().as_u64(), 42161);
        assert!([84357, 84358].contains(&signature.v), "{}", signature.v);
        let sender = signature.recover(decoded.sighash()).unwrap();
        assert_eq!(sender.0, signer().address().0);
    }
}
