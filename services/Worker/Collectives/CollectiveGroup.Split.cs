using System.Runtime.InteropServices;
using System.Text.Json;

namespace Cluster.Worker.Collectives;

public sealed partial class CollectiveGroup
{
    /// <summary>What a rank tells the others at a split: a length and JSON of an endpoint with room to spare.</summary>
    private const int EndpointBytes = 512;

    public async Task<ICollectiveGroup> SplitAsync(string name, int colour, CancellationToken cancellationToken)
    {
        var colours = new int[WorldSize];
        AllGather<int>([colour], colours, name + "/colours");
        var own = Enumerable.Range(0, WorldSize).Where(member => colours[member] == colour).ToArray();
        var fullName = _members.Name.Length == 0 ? name : $"{_members.Name}/{name}";
        var part = _setup with
        {
            Rank = Array.IndexOf(own, Rank),
            WorldSize = own.Length,
            Rendezvous = (mine, _) => Task.FromResult(Meet(name, mine, own)),
            ReserveSharedMemory = (segment, bytes, token) => _setup.ReserveSharedMemory($"{name}.{colour}.{segment}", bytes, token),
            Part = new GroupMembers(fullName, [.. own.Select(_members.JobRank)], Array.IndexOf(own, Rank)),
        };
        if (own.Length == 1)
            Meet(name, new PeerEndpoint(0, _setup.NodeId, ""), own); // needs no peers, but the others' exchange needs it
        return await JoinAsync(part, cancellationToken);
    }

    /// <summary>All ranks of this group tell each other where they listen for their part's others; gives those of the part.</summary>
    private IReadOnlyList<PeerEndpoint> Meet(string name, PeerEndpoint mine, int[] part)
    {
        var all = new byte[EndpointBytes * WorldSize];
        var own = new byte[EndpointBytes];
        var text = JsonSerializer.SerializeToUtf8Bytes(mine);
        if (text.Length > EndpointBytes - sizeof(int))
            throw new InvalidOperationException($"the endpoint {mine} is longer than {EndpointBytes} bytes as JSON");
        MemoryMarshal.Write(own, text.Length);
        text.CopyTo(own, sizeof(int));
        AllGather<byte>(own, all, name + "/endpoints");
        return [.. part.Select(member =>
        {
            var theirs = all.AsSpan(member * EndpointBytes, EndpointBytes);
            return JsonSerializer.Deserialize<PeerEndpoint>(theirs.Slice(sizeof(int), MemoryMarshal.Read<int>(theirs)))!;
        })];
    }
}
