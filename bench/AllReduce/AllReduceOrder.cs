namespace Cluster.Bench.AllReduce;

/// <summary>What a rank is to measure.</summary>
/// <param name="How">A <see cref="Path"/>; the peer's script knows but one and ignores it.</param>
/// <param name="Bytes">Size of the buffer, of float32.</param>
/// <param name="Iterations">Repetitions to average over.</param>
internal sealed record AllReduceOrder(string How, long Bytes, int Iterations)
{
    /// <summary>Ways for two ranks to sum, and what bounds them.</summary>
    internal static class Path
    {
        /// <summary>In place in shared memory, where gradients live.</summary>
        public const string Buckets = "shared buckets";

        /// <summary>Memory of one's own, staged through shared memory.</summary>
        public const string Staged = "staged";

        public const string Tcp = "tcp";

        /// <summary>Encrypted, as with Agent:TrainerTls.</summary>
        public const string Tls = "tcp+tls";

        /// <summary>Each rank copies as many bytes as it must read and write for a sum in place.</summary>
        public const string MemoryCopy = "memory copy";

        /// <summary>Each rank sends and receives at once as many bytes as it must for a sum over TCP.</summary>
        public const string SocketCopy = "socket copy";
    }
}

/// <summary>A rank's answer: time of one iteration.</summary>
internal sealed record AllReduceTime(double Seconds);
