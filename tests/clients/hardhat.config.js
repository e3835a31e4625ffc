// A block for each transaction, and one each second. From Osaka on, Hardhat 2.29 cannot estimate the
// creation of the largest contract (9.2 million gas): it tries more than EIP-7825 allows.
module.exports = {
  networks: { hardhat: { hardfork: "prague", mining: { auto: true, interval: 1000 } } },
};
