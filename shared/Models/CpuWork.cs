using static TorchSharp.torch;

namespace Cluster.Models;

/// <summary>Divides our own loops over a CPU's cores as libtorch divides its: over as many threads as it has been given.</summary>
public static class CpuWork
{
    /// <summary>
    /// Calls <paramref name="body"/> with parts [begin, end) that make up [0, count), at once on several threads where there is enough for
    /// them.
    /// </summary>
    /// <param name="count">Items in all; without any nothing is called.</param>
    /// <param name="least">Items that are worth a thread of their own.</param>
    /// <param name="body">Takes begin and end. Must not throw.</param>
    public static void Split(long count, long least, Action<long, long> body)
    {
        var parts = (int)Math.Min(get_num_threads(), count / least);
        if (parts <= 1)
        {
            if (count > 0)
                body(0, count);
            return;
        }

        Parallel.For(0, parts, new ParallelOptions { MaxDegreeOfParallelism = parts },
            part => body(count * part / parts, count * (part + 1) / parts));
    }
}
