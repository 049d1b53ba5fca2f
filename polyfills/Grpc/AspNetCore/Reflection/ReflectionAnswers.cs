using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Reflection.V1;

namespace Grpc.Reflection;

/// <summary>
/// Answers reflection questions from the files that declare the mapped services and all that those import. Built at the first
/// question, when every service is mapped.
/// </summary>
internal sealed class ReflectionAnswers(MappedServices services)
{
    private readonly Lazy<Catalogue> catalogue = new(() => new Catalogue(services.Descriptors));

    /// <summary>Every question has an answer; what is not found is an error inside it, and the call goes on.</summary>
    public ServerReflectionResponse Answer(ServerReflectionRequest request)
    {
        var response = request.MessageRequestCase switch
        {
            ServerReflectionRequest.MessageRequestOneofCase.FileByFilename =>
                Files(catalogue.Value.Files.GetValueOrDefault(request.FileByFilename), $"File '{request.FileByFilename}' not found."),
            ServerReflectionRequest.MessageRequestOneofCase.FileContainingSymbol =>
                Files(catalogue.Value.Symbols.GetValueOrDefault(request.FileContainingSymbol), $"Symbol '{request.FileContainingSymbol}' not found."),
            ServerReflectionRequest.MessageRequestOneofCase.FileContainingExtension => Files(
                catalogue.Value.Extensions.GetValueOrDefault(request.FileContainingExtension.ContainingType)
                    ?.GetValueOrDefault(request.FileContainingExtension.ExtensionNumber),
                $"Extension {request.FileContainingExtension.ExtensionNumber} of '{request.FileContainingExtension.ContainingType}' not found."),
            ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType => ExtensionNumbers(request.AllExtensionNumbersOfType),
            ServerReflectionRequest.MessageRequestOneofCase.ListServices => ListServices(),
            _ => Error(StatusCode.InvalidArgument, "The request asks nothing that this server knows."),
        };
        response.ValidHost = request.Host;
        response.OriginalRequest = request;
        return response;
    }

    private ServerReflectionResponse ListServices()
    {
        var list = new ListServiceResponse();
        list.Service.AddRange(catalogue.Value.Services.Select(name => new ServiceResponse { Name = name }));
        return new ServerReflectionResponse { ListServicesResponse = list };
    }

    private ServerReflectionResponse ExtensionNumbers(string type)
    {
        if (!catalogue.Value.Symbols.ContainsKey(type))
            return Error(StatusCode.NotFound, $"Type '{type}' not found.");
        var numbers = new ExtensionNumberResponse { BaseTypeName = type };
        numbers.ExtensionNumber.AddRange(catalogue.Value.Extensions.GetValueOrDefault(type)?.Keys.Order() ?? Enumerable.Empty<int>());
        return new ServerReflectionResponse { AllExtensionNumbersResponse = numbers };
    }

    /// <summary>A file and everything it imports, since a client cannot use the one without the others.</summary>
    private static ServerReflectionResponse Files(FileDescriptor? file, string whenMissing)
    {
        if (file is null)
            return Error(StatusCode.NotFound, whenMissing);
        var files = new FileDescriptorResponse();
        files.FileDescriptorProto.AddRange(Catalogue.WithImports([file]).Select(found => found.SerializedData));
        return new ServerReflectionResponse { FileDescriptorResponse = files };
    }

    private static ServerReflectionResponse Error(StatusCode code, string message) =>
        new() { ErrorResponse = new ErrorResponse { ErrorCode = (int)code, ErrorMessage = message } };

    private sealed class Catalogue
    {
        public Catalogue(IEnumerable<ServiceDescriptor> services)
        {
            Services = [.. services.Select(service => service.FullName).Order(StringComparer.Ordinal)];
            foreach (var file in WithImports(services.Select(service => service.File)))
                Add(file);
        }

        public IReadOnlyList<string> Services { get; }

        public Dictionary<string, FileDescriptor> Files { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, FileDescriptor> Symbols { get; } = new(StringComparer.Ordinal);

        /// <summary>By the extended message, then the field's number.</summary>
        public Dictionary<string, Dictionary<int, FileDescriptor>> Extensions { get; } = new(StringComparer.Ordinal);

        public static IReadOnlyList<FileDescriptor> WithImports(IEnumerable<FileDescriptor> roots)
        {
            var found = new List<FileDescriptor>();
            foreach (var root in roots)
                Collect(root);
            return found;

            void Collect(FileDescriptor file)
            {
                if (found.Contains(file))
                    return;
                found.Add(file);
                foreach (var import in file.Dependencies)
                    Collect(import);
            }
        }

        private void Add(FileDescriptor file)
        {
            Files[file.Name] = file;
            foreach (var service in file.Services)
            {
                Symbols[service.FullName] = file;
                foreach (var method in service.Methods)
                    Symbols[method.FullName] = file;
            }
            foreach (var type in file.EnumTypes)
                Add(type);
            foreach (var message in file.MessageTypes)
                Add(message);
            Add(file, file.Extensions);
        }

        private void Add(MessageDescriptor message)
        {
            Symbols[message.FullName] = message.File;
            foreach (var field in message.Fields.InDeclarationOrder())
                Symbols[field.FullName] = message.File;
            foreach (var oneof in message.Oneofs)
                Symbols[oneof.FullName] = message.File;
            foreach (var type in message.EnumTypes)
                Add(type);
            foreach (var nested in message.NestedTypes)
                Add(nested);
            Add(message.File, message.Extensions);
        }

        private void Add(EnumDescriptor type)
        {
            Symbols[type.FullName] = type.File;
            foreach (var value in type.Values)
                Symbols[value.FullName] = type.File;
        }

        private void Add(FileDescriptor file, ExtensionCollection extensions)
        {
            foreach (var extension in extensions.UnorderedExtensions)
            {
                Symbols[extension.FullName] = file;
                if (!Extensions.TryGetValue(extension.ExtendeeType.FullName, out var numbers))
                    Extensions[extension.ExtendeeType.FullName] = numbers = [];
                numbers[extension.FieldNumber] = file;
            }
        }
    }
}
