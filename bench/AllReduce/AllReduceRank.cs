using System.CommandLine;
using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Contracts.Tls;
using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.SharedMemory;

namespace Cluster.Bench.AllReduce;

/// <summary>
/// One of our ranks, as a process: joins its peer by TCP, and by shared memory where they are on one host, then does as it is told.
/// </summary>
internal sealed class AllReduceRank : IDisposable
{
    private const long LargestBytes = 256 << 20;

    private readonly ICollectiveGroup _tcp;
    private readonly ICollectiveGroup? _tls;
    private readonly SocketCopy _sockets;
    private readonly SharedBucket? _shared;
    private readonly unsafe float* _own = Allocate();
    private readonly unsafe float* _other = Allocate();

    private AllReduceRank(ICollectiveGroup tcp, ICollectiveGroup? tls, SocketCopy sockets, SharedBucket? shared)
    {
        _tcp = tcp;
        _tls = tls;
        _sockets = sockets;
        _shared = shared;
    }

    public static Command Build()
    {
        var folder = new Argument<string>("folder");
        var rank = new Argument<int>("rank");
        var worldSize = new Argument<int>("world-size");
        var address = new Option<string?>("--address") { Description = "of this rank's host, where the other rank is on another" };
        var certificate = new Option<string?>("--certificate")
        {
            Description = "joined by TLS too, with this; key and authority lie beside it",
        };
        var command = new Command("allreduce-rank", "one rank of allreduce") { folder, rank, worldSize, address, certificate };
        command.Hidden = true;
        command.SetAction(async (arguments, cancellationToken) =>
        {
            using var me = await JoinAsync(arguments.GetValue(folder)!, arguments.GetValue(rank), arguments.GetValue(worldSize),
                arguments.GetValue(address), arguments.GetValue(certificate), cancellationToken);
            await me.ObeyAsync(cancellationToken);
        });
        return command;
    }

    public unsafe void Dispose()
    {
        _shared?.Dispose();
        _tcp.Dispose();
        _tls?.Dispose();
        _sockets.Dispose();
        NativeMemory.AlignedFree(_own);
        NativeMemory.AlignedFree(_other);
    }

    private static async Task<AllReduceRank> JoinAsync(
        string folder, int rank, int worldSize, string? host, string? certificate, CancellationToken cancellationToken)
    {
        var address = host is null ? IPAddress.Loopback : IPAddress.Parse(host);
        var tcp = await BenchGroup.JoinAsync(
            Part("tcp"), rank, worldSize, $"node-{rank}", new CollectiveOptions(), cancellationToken, address);
        var tls = certificate is null ? null : await BenchGroup.JoinAsync(
            Part("tls"), rank, worldSize, $"node-{rank}", new CollectiveOptions(), cancellationToken, address,
            certificates: new CertificateFiles(new TlsOptions
            {
                CertificateFile = certificate,
                KeyFile = Path.ChangeExtension(certificate, "key"),
                AuthorityFile = Path.Combine(Path.GetDirectoryName(certificate)!, "authority.crt"),
            }));
        var sockets = await SocketCopy.ConnectAsync(Path.Combine(folder, "endpoint"), rank, address, cancellationToken);
        if (host is not null)
            return new AllReduceRank(tcp, tls, sockets, shared: null);
        var memory = await BenchGroup.JoinAsync(Part("memory"), rank, worldSize, "node", new CollectiveOptions(), cancellationToken);
        var bucket = await memory.ReserveSharedBufferAsync("bucket", LargestBytes, cancellationToken);
        return new AllReduceRank(tcp, tls, sockets, new SharedBucket(memory, bucket!));

        string Part(string name) => Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
    }

    private async Task ObeyAsync(CancellationToken cancellationToken)
    {
        Console.WriteLine(JsonSerializer.Serialize(new AllReduceTime(0)));
        while (await Console.In.ReadLineAsync(cancellationToken) is { } line)
            Console.WriteLine(JsonSerializer.Serialize(new AllReduceTime(Measure(JsonSerializer.Deserialize<AllReduceOrder>(line)!))));
    }

    private SharedBucket Memory => _shared ?? throw new InvalidOperationException("the ranks are on two hosts, which share no memory");

    private unsafe double Measure(AllReduceOrder order)
    {
        var count = (int)(order.Bytes / sizeof(float));
        var values = order.How == AllReduceOrder.Path.Buckets ? Memory.Start : _own;
        Action once = order.How switch
        {
            AllReduceOrder.Path.Buckets or AllReduceOrder.Path.Staged => () =>
                Memory.Group.AllReduce(new Span<float>(values, count), "bench"),
            AllReduceOrder.Path.Tcp => () => _tcp.AllReduce(new Span<float>(values, count), "bench"),
            AllReduceOrder.Path.Tls when _tls is { } tls => () => tls.AllReduce(new Span<float>(values, count), "bench"),
            AllReduceOrder.Path.MemoryCopy => () => Buffer.MemoryCopy(_own, _other, order.Bytes, order.Bytes),
            AllReduceOrder.Path.SocketCopy => () => _sockets.Run(_own, _other, order.Bytes),
            var how => throw new ArgumentException($"there is no way '{how}' to sum", nameof(order)),
        };
        new Span<float>(values, count).Fill(1);
        once();
        if (order.How is AllReduceOrder.Path.Buckets or AllReduceOrder.Path.Staged or AllReduceOrder.Path.Tcp or AllReduceOrder.Path.Tls
            && values[count - 1] != _tcp.WorldSize)
            throw new InvalidOperationException($"the sum over {order.How} is {values[count - 1]}, not {_tcp.WorldSize}");

        (_shared?.Group ?? _tcp).Barrier("start");
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < order.Iterations; i++)
            once();
        return Stopwatch.GetElapsedTime(began).TotalSeconds / order.Iterations;
    }

    private static unsafe float* Allocate()
    {
        const nuint pageBytes = 4096;
        var memory = (float*)NativeMemory.AlignedAlloc((nuint)LargestBytes, pageBytes);
        new Span<float>(memory, (int)(LargestBytes / sizeof(float))).Fill(1);
        return memory;
    }

    /// <summary>Memory of both ranks, where they are on one host.</summary>
    private sealed unsafe class SharedBucket : IDisposable
    {
        private readonly MappedFile _mapped;

        public SharedBucket(ICollectiveGroup group, SharedBuffer buffer)
        {
            Group = group;
            _mapped = new MappedFile(buffer.Path, buffer.Offset + buffer.Bytes);
            Start = (float*)(_mapped.Start + buffer.Offset);
            buffer.Address = (nint)Start;
        }

        public ICollectiveGroup Group { get; }

        public float* Start { get; }

        public void Dispose()
        {
            Group.Dispose();
            _mapped.Dispose();
        }
    }
}
