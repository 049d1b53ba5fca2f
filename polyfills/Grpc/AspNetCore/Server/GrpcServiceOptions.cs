using System.IO.Compression;

namespace Grpc.AspNetCore.Server;

/// <summary>Limits and behaviour of a server's calls. Sizes are in bytes, uncompressed; null is no limit.</summary>
public class GrpcServiceOptions
{
    internal const int DefaultMaxReceiveMessageSize = 4 * 1024 * 1024;

    private int? maxReceiveMessageSize;
    private int? maxSendMessageSize;

    /// <summary>A larger answer ends the call with ResourceExhausted. No limit by default.</summary>
    public int? MaxSendMessageSize
    {
        get => maxSendMessageSize;
        set => (maxSendMessageSize, MaxSendMessageSizeSpecified) = (value, true);
    }

    /// <summary>A larger request ends the call with ResourceExhausted. 4 MiB by default.</summary>
    public int? MaxReceiveMessageSize
    {
        get => maxReceiveMessageSize;
        set => (maxReceiveMessageSize, MaxReceiveMessageSizeSpecified) = (value, true);
    }

    /// <summary>Whether null in <see cref="MaxSendMessageSize"/> was chosen.</summary>
    public bool MaxSendMessageSizeSpecified { get; private set; }

    /// <summary>Whether null in <see cref="MaxReceiveMessageSize"/> was chosen.</summary>
    public bool MaxReceiveMessageSizeSpecified { get; private set; }

    /// <summary>Whether an unexpected exception's message is sent to the client. Off by default, since it may tell secrets.</summary>
    public bool? EnableDetailedErrors { get; set; }

    /// <summary><c>gzip</c> compresses answers for clients that accept it. None by default.</summary>
    public string? ResponseCompressionAlgorithm { get; set; }

    public CompressionLevel? ResponseCompressionLevel { get; set; }

    /// <summary>The first one is the outermost; those of all services stand before those of one service.</summary>
    public InterceptorCollection Interceptors { get; } = new();
}

/// <summary>What one service does otherwise; what is not set here is taken from <see cref="GrpcServiceOptions"/>.</summary>
public class GrpcServiceOptions<TService> : GrpcServiceOptions
    where TService : class;
