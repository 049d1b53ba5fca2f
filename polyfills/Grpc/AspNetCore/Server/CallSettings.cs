using System.IO.Compression;
using Grpc.Wire;

namespace Grpc.AspNetCore.Server;

/// <summary>The options of one service, with those of all services where it has none of its own.</summary>
internal sealed record CallSettings(
    int? MaxSendMessageSize,
    int? MaxReceiveMessageSize,
    bool EnableDetailedErrors,
    MessageEncoding? ResponseEncoding,
    CompressionLevel CompressionLevel,
    IReadOnlyList<InterceptorRegistration> Interceptors)
{
    public static CallSettings Of(GrpcServiceOptions shared, GrpcServiceOptions own)
    {
        var algorithm = own.ResponseCompressionAlgorithm ?? shared.ResponseCompressionAlgorithm;
        if (!MessageEncoding.TryFind(algorithm, out var encoding))
            throw new InvalidOperationException($"The configured response compression algorithm '{algorithm}' does not have a matching compression provider.");
        return new CallSettings(
            own.MaxSendMessageSizeSpecified ? own.MaxSendMessageSize : shared.MaxSendMessageSize,
            own.MaxReceiveMessageSizeSpecified ? own.MaxReceiveMessageSize
                : shared.MaxReceiveMessageSizeSpecified ? shared.MaxReceiveMessageSize
                : GrpcServiceOptions.DefaultMaxReceiveMessageSize,
            own.EnableDetailedErrors ?? shared.EnableDetailedErrors ?? false,
            encoding,
            own.ResponseCompressionLevel ?? shared.ResponseCompressionLevel ?? CompressionLevel.Fastest,
            [.. shared.Interceptors, .. own.Interceptors]);
    }
}
