using System.Text;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Collectives.Nccl;

/// <summary>
/// How ranks with GPUs are joined beside the CPU's memory: by NCCL where each has a card of its own, through the CPU's memory where two
/// share one, or where ranks of other nodes are to be told nothing that can be read on the way.
/// </summary>
internal static class CudaTransports
{
    /// <summary>What a rank tells the others of itself: its card, and in words why it has none or no NCCL.</summary>
    private const int WordsBytes = 512;

    private const int RecordBytes = CudaDriver.UuidBytes + (2 * WordsBytes);

    /// <summary>A call on every rank. Waits for all.</summary>
    /// <param name="host">Joins the ranks already; the new transport's from here on, also on a failure.</param>
    /// <param name="members">Who they are.</param>
    /// <param name="ordinal">This rank's GPU among those it sees.</param>
    /// <param name="options">Where the libraries are, and how long joining may take.</param>
    /// <exception cref="NotSupportedException">A rank lacks a library or a GPU; all ranks throw, with that rank's reason.</exception>
    public static CollectiveTransport Join(CollectiveTransport host, GroupMembers members, int ordinal, CollectiveOptions options)
    {
        CudaDevice? device = null;
        try
        {
            var noDevice = ReasonAgainst(() => device = new CudaDevice(new CudaDriver(options.CudaLibrary), ordinal));
            NcclLibrary? nccl = null;
            var noNccl = ReasonAgainst(() => nccl = new NcclLibrary(options.NcclLibrary));
            var records = Tell(host, members, options, device, noDevice, noNccl);
            RequireNone(records, members, record => record.NoDevice);
            // NCCL's own connections are not encrypted, and what was to be encrypted never goes plainly.
            if (host.IsEncrypted || records.Select(record => record.Card).Distinct().Count() < records.Count)
                return new StagedTransport(host, device!);
            RequireNone(records, members, record => record.NoNccl);
            return NcclTransport.Join(
                host, nccl!, device!, members, options, Joining(OperationKind.Broadcast, NcclLibrary.UniqueId.Bytes, members, options));
        }
        catch (Exception e)
        {
            device?.Dispose();
            host.Dispose();
            if (e is DeviceException)
                throw new CollectiveException(CollectiveFault.NotConnected, peer: -1,
                    $"rank {members.JobRank(members.Me)} could not be joined to its peers by NCCL: {e.Message}", e);
            throw;
        }
    }

    private static string ReasonAgainst(Action open)
    {
        try
        {
            open();
            return "";
        }
        catch (Exception e) when (e is NotSupportedException or DeviceException)
        {
            return e.Message;
        }
    }

    private static unsafe List<Record> Tell(
        CollectiveTransport host, GroupMembers members, CollectiveOptions options, CudaDevice? device, string noDevice, string noNccl)
    {
        var mine = new byte[RecordBytes];
        device?.Uuid.CopyTo(mine, 0);
        Write(noDevice, mine.AsSpan(CudaDriver.UuidBytes, WordsBytes));
        Write(noNccl, mine.AsSpan(CudaDriver.UuidBytes + WordsBytes, WordsBytes));
        var all = new byte[RecordBytes * members.Ranks.Count];
        fixed (byte* from = mine, to = all)
        {
            host.AllGather(
                (nint)from, (nint)to, Shares.Of(all.Length, members.Ranks.Count), sizeof(byte),
                Joining(OperationKind.AllGather, all.Length, members, options));
        }

        return [.. all.Chunk(RecordBytes).Select(record => new Record(
            Convert.ToHexString(record.AsSpan(0, CudaDriver.UuidBytes)), Read(record.AsSpan(CudaDriver.UuidBytes, WordsBytes)),
            Read(record.AsSpan(CudaDriver.UuidBytes + WordsBytes))))];
    }

    private static void RequireNone(List<Record> records, GroupMembers members, Func<Record, string> reason)
    {
        if (records.FindIndex(record => reason(record).Length > 0) is >= 0 and var member)
            throw new NotSupportedException($"rank {members.JobRank(member)} cannot exchange values on its GPU: {reason(records[member])}; "
                + "or set resources.deviceKind to cpu");
    }

    private static Operation Joining(OperationKind kind, long bytes, GroupMembers members, CollectiveOptions options) =>
        new(kind, "join devices", bytes, members, options.ConnectTimeout);

    private static void Write(string words, Span<byte> place) =>
        Encoding.UTF8.GetEncoder().Convert(words, place, flush: false, out _, out _, out _);

    private static string Read(ReadOnlySpan<byte> place) => Encoding.UTF8.GetString(place).TrimEnd('\0');

    private sealed record Record(string Card, string NoDevice, string NoNccl);
}
