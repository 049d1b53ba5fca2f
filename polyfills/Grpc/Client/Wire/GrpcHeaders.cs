using Grpc.Core;

namespace Grpc.Wire;

/// <summary>The header names of the protocol, and the passage between headers and <see cref="Metadata"/>.</summary>
internal static class GrpcHeaders
{
    public const string ContentType = "application/grpc";
    public const string Status = "grpc-status";
    public const string Message = "grpc-message";
    public const string Timeout = "grpc-timeout";
    public const string Encoding = "grpc-encoding";
    public const string AcceptEncoding = "grpc-accept-encoding";

    /// <summary>Never sent: in a call's metadata it chooses the encoding of what this side sends, as in grpc-dotnet.</summary>
    public const string EncodingRequest = "grpc-internal-encoding-request";

    /// <summary><c>application/grpc</c>, alone or followed by <c>+proto</c>, <c>;charset=…</c> and the like; not <c>application/grpc-web</c>.</summary>
    public static bool IsGrpc(string? contentType) =>
        contentType is not null
        && contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && (contentType.Length == ContentType.Length || contentType[ContentType.Length] is ';' or '+');

    public static string Encode(Metadata.Entry entry) => entry.IsBinary ? Convert.ToBase64String(entry.Bytes) : entry.Value;

    /// <summary>Adds one received header, unless it belongs to the protocol itself.</summary>
    public static void Decode(Metadata metadata, string name, string value)
    {
        if (IsReserved(name))
            return;
        if (!name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase))
        {
            metadata.Add(name, value);
            return;
        }
        // Several values of a binary header may arrive joined by commas.
        foreach (var part in value.Split(','))
            metadata.Add(name, DecodeBase64(name, part.Trim()));
    }

    /// <summary>The sender may leave out the padding.</summary>
    private static byte[] DecodeBase64(string name, string value)
    {
        try
        {
            return Convert.FromBase64String(value.PadRight((value.Length + 3) / 4 * 4, '='));
        }
        catch (FormatException e)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"The value of header '{name}' is not base64.", e));
        }
    }

    private static bool IsReserved(string name) =>
        name.StartsWith(':')
        || name.Equals(Status, StringComparison.OrdinalIgnoreCase)
        || name.Equals(Message, StringComparison.OrdinalIgnoreCase)
        || name.Equals(Encoding, StringComparison.OrdinalIgnoreCase)
        || name.Equals(AcceptEncoding, StringComparison.OrdinalIgnoreCase)
        || name.Equals("content-type", StringComparison.OrdinalIgnoreCase)
        || name.Equals("content-encoding", StringComparison.OrdinalIgnoreCase);
}
