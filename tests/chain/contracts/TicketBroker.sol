// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Controller} from "Controller.sol";
import {Manager} from "Manager.sol";

/// Deposits and reserves of senders, and what pays winning tickets out of them.
contract TicketBroker is Manager {
    struct Ticket {
        address recipient;
        address sender;
        uint256 faceValue;
        uint256 winProb;
        uint256 senderNonce;
        bytes32 recipientRandHash;
        bytes auxData;
    }

    struct Sender {
        uint256 deposit;
        uint256 withdrawRound;
    }

    struct ReserveInfo {
        uint256 fundsRemaining;
        uint256 claimedInCurrentRound;
    }

    struct Reserve {
        uint256 funds;
        mapping(uint256 => uint256) claimed;
        mapping(uint256 => mapping(address => uint256)) claimedBy;
    }

    /// Half the order of the curve: a signature above it has a twin.
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    uint256 public unlockPeriod = 2;
    uint256 public ticketValidityPeriod = 2;
    mapping(bytes32 => bool) public usedTickets;

    mapping(address => Sender) private senders;
    mapping(address => Reserve) private reserves;

    bool private paysWhatIsThere;
    bool private sharesSet;
    uint256 private share;

    event DepositFunded(address indexed sender, uint256 amount);
    event ReserveFunded(address indexed reserveHolder, uint256 amount);
    event ReserveClaimed(address indexed reserveHolder, address claimant, uint256 amount);
    event Withdrawal(address indexed sender, uint256 deposit, uint256 reserve);
    event WinningTicketTransfer(address indexed sender, address indexed recipient, uint256 amount);
    event WinningTicketRedeemed(
        address indexed sender,
        address indexed recipient,
        uint256 faceValue,
        uint256 winProb,
        uint256 senderNonce,
        uint256 recipientRand,
        bytes auxData
    );
    event Unlock(address indexed sender, uint256 startRound, uint256 endRound);
    event UnlockCancelled(address indexed sender);

    constructor(Controller controller_) Manager(controller_) {}

    // Funds

    function fundDeposit() external payable whenOpen {
        addDeposit(msg.sender, msg.value);
        minter().depositETH{value: msg.value}();
    }

    function fundReserve() external payable whenOpen {
        addReserve(msg.sender, msg.value);
        minter().depositETH{value: msg.value}();
    }

    function fundDepositAndReserve(uint256 deposit, uint256 reserve) external payable {
        fundDepositAndReserveFor(msg.sender, deposit, reserve);
    }

    function fundDepositAndReserveFor(address sender, uint256 deposit, uint256 reserve) public payable whenOpen {
        require(
            msg.value == deposit + reserve,
            "msg.value does not equal sum of deposit amount and reserve amount"
        );
        addReserve(sender, reserve);
        addDeposit(sender, deposit);
        minter().depositETH{value: msg.value}();
    }

    function addDeposit(address sender, uint256 amount) private {
        cancelByFunding(sender);
        senders[sender].deposit += amount;
        emit DepositFunded(sender, amount);
    }

    function addReserve(address sender, uint256 amount) private {
        cancelByFunding(sender);
        reserves[sender].funds += amount;
        emit ReserveFunded(sender, amount);
    }

    /// Who pays in while an unlock is running takes it back.
    function cancelByFunding(address sender) private {
        if (msg.sender == sender && senders[sender].withdrawRound > 0) {
            endUnlock(sender);
        }
    }

    function unlock() external whenOpen {
        requireFunds(msg.sender);
        require(senders[msg.sender].withdrawRound == 0, "unlock already initiated");
        uint256 round = roundsManager().currentRound();
        senders[msg.sender].withdrawRound = round + unlockPeriod;
        emit Unlock(msg.sender, round, round + unlockPeriod);
    }

    function cancelUnlock() external whenOpen {
        endUnlock(msg.sender);
    }

    function endUnlock(address sender) private {
        require(senders[sender].withdrawRound > 0, "no unlock request in progress");
        senders[sender].withdrawRound = 0;
        emit UnlockCancelled(sender);
    }

    function withdraw() external whenOpen {
        requireFunds(msg.sender);
        require(senders[msg.sender].withdrawRound > 0, "no unlock request in progress");
        require(!isLocked(msg.sender), "account is locked");
        (uint256 deposit, uint256 reserve) = (senders[msg.sender].deposit, reserves[msg.sender].funds);
        (senders[msg.sender].deposit, reserves[msg.sender].funds) = (0, 0);
        minter().trustedWithdrawETH(payable(msg.sender), deposit + reserve);
        emit Withdrawal(msg.sender, deposit, reserve);
    }

    function isLocked(address sender) private view returns (bool) {
        uint256 round = senders[sender].withdrawRound;
        return round == 0 || roundsManager().currentRound() < round;
    }

    function requireFunds(address sender) private view {
        require(senders[sender].deposit > 0 || reserves[sender].funds > 0, "sender deposit and reserve are zero");
    }

    function getSenderInfo(address sender) external view returns (Sender memory, ReserveInfo memory) {
        Reserve storage reserve = reserves[sender];
        return (senders[sender], ReserveInfo(reserve.funds, reserve.claimed[roundsManager().currentRound()]));
    }

    function claimedReserve(address reserveHolder, address claimant) external view returns (uint256) {
        return reserves[reserveHolder].claimedBy[roundsManager().currentRound()][claimant];
    }

    function claimableReserve(address reserveHolder, address claimant) public view returns (uint256) {
        Reserve storage reserve = reserves[reserveHolder];
        if (sharesSet) {
            return share < reserve.funds ? share : reserve.funds;
        }
        uint256 size = bondingManager().getTranscoderPoolSize();
        if (size == 0 || !bondingManager().isActiveTranscoder(claimant)) {
            return 0;
        }
        uint256 round = roundsManager().currentRound();
        return (reserve.funds + reserve.claimed[round]) / size - reserve.claimedBy[round][claimant];
    }

    // Tickets

    function getTicketHash(Ticket memory ticket) public pure returns (bytes32) {
        return
            keccak256(
                abi.encodePacked(
                    ticket.recipient,
                    ticket.sender,
                    ticket.faceValue,
                    ticket.winProb,
                    ticket.senderNonce,
                    ticket.recipientRandHash,
                    ticket.auxData
                )
            );
    }

    function redeemWinningTicket(
        Ticket memory ticket,
        bytes memory sig,
        uint256 recipientRand
    ) public whenOpen whenInitialized {
        bytes32 hash = getTicketHash(ticket);
        requireWinner(ticket, hash, sig, recipientRand);
        Sender storage sender = senders[ticket.sender];
        require(isLocked(ticket.sender), "sender is unlocked");
        if (paysWhatIsThere) {
            requireFunds(ticket.sender);
        } else {
            require(
                sender.deposit + reserves[ticket.sender].funds >= ticket.faceValue,
                "sender deposit and reserve insufficient to cover ticket face value"
            );
        }
        usedTickets[hash] = true;

        uint256 amount = ticket.faceValue < sender.deposit ? ticket.faceValue : sender.deposit;
        sender.deposit -= amount;
        amount += claim(ticket.sender, ticket.recipient, ticket.faceValue - amount);
        if (amount > 0) {
            bondingManager().updateTranscoderWithFees(ticket.recipient, amount, 0);
            emit WinningTicketTransfer(ticket.sender, ticket.recipient, amount);
        }
        emit WinningTicketRedeemed(
            ticket.sender,
            ticket.recipient,
            ticket.faceValue,
            ticket.winProb,
            ticket.senderNonce,
            recipientRand,
            ticket.auxData
        );
    }

    /// Skips what fails, without a word.
    function batchRedeemWinningTickets(
        Ticket[] memory tickets,
        bytes[] memory sigs,
        uint256[] memory rands
    ) external whenOpen whenInitialized {
        for (uint256 i = 0; i < tickets.length; i++) {
            try this.redeemWinningTicket(tickets[i], sigs[i], rands[i]) {} catch {}
        }
    }

    function claim(address holder, address claimant, uint256 wanted) private returns (uint256 amount) {
        if (wanted == 0) {
            return 0;
        }
        uint256 claimable = claimableReserve(holder, claimant);
        amount = wanted < claimable ? wanted : claimable;
        if (amount > 0) {
            Reserve storage reserve = reserves[holder];
            uint256 round = roundsManager().currentRound();
            reserve.funds -= amount;
            reserve.claimed[round] += amount;
            reserve.claimedBy[round][claimant] += amount;
            emit ReserveClaimed(holder, claimant, amount);
        }
    }

    function requireWinner(Ticket memory ticket, bytes32 hash, bytes memory sig, uint256 rand) private view {
        require(ticket.recipient != address(0), "ticket recipient is null address");
        require(ticket.sender != address(0), "ticket sender is null address");
        requireCurrent(ticket.auxData);
        require(
            keccak256(abi.encodePacked(rand)) == ticket.recipientRandHash,
            "recipientRand does not match recipientRandHash"
        );
        require(!usedTickets[hash], "ticket is used");
        require(signer(hash, sig) == ticket.sender, "invalid signature over ticket hash");
        require(uint256(keccak256(abi.encodePacked(sig, rand))) < ticket.winProb, "ticket did not win");
    }

    function requireCurrent(bytes memory auxData) private view {
        require(auxData.length == 64, "invalid length for ticket auxData: must be 64 bytes");
        (uint256 round, bytes32 roundHash) = abi.decode(auxData, (uint256, bytes32));
        bytes32 known = roundsManager().blockHashForRound(round);
        require(known != bytes32(0), "ticket creationRound does not have a block hash");
        require(known == roundHash, "ticket creationRoundBlockHash invalid for creationRound");
        require(round + ticketValidityPeriod > roundsManager().currentRound(), "ticket is expired");
    }

    function signer(bytes32 hash, bytes memory sig) private pure returns (address recovered) {
        require(sig.length == 65, "INVALID_SIGNATURE_LENGTH");
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly {
            r := mload(add(sig, 32))
            s := mload(add(sig, 64))
            v := byte(0, mload(add(sig, 96)))
        }
        require(uint256(s) <= HALF_ORDER, "ECDSA: invalid signature 's' value");
        recovered = ecrecover(keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", hash)), v, r, s);
        require(recovered != address(0), "ECDSA: invalid signature");
    }

    // Knobs

    /// True: pay what is there, even nothing. False, as now deployed: revert when all funds do not cover the face value.
    function setPaysWhatIsThere(bool value) external {
        paysWhatIsThere = value;
    }

    /// What every claimant may still claim from every reserve, in place of the rule.
    function setReserveShare(uint256 amount) external {
        (sharesSet, share) = (true, amount);
    }

    function clearReserveShare() external {
        sharesSet = false;
    }

    /// Takes all funds of a sender away, without an event.
    function drain(address sender) external {
        senders[sender].deposit = 0;
        reserves[sender].funds = 0;
    }

    function setPeriods(uint256 unlockRounds, uint256 validityRounds) external {
        (unlockPeriod, ticketValidityPeriod) = (unlockRounds, validityRounds);
    }
}
