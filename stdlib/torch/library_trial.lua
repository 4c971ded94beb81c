-- What the process runs that tries a library of custom operators: see host/tensor/library.cpp.
return require("native.library").try
